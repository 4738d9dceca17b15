//! `countersign trace`

use super::{Column, cell, evidence, pretty, query, segment, show_list};
use crate::{admin::AdminClient, cli::TraceCommand, failure::Failure, screen::say};

/// Looks at records of decisions, through the operators' door.
pub(crate) async fn run(command: TraceCommand) -> Result<(), Failure> {
    match command {
        TraceCommand::List { status, agent, session, limit, app, admin, output } => {
            let client = AdminClient::new(&admin)?;
            let limit = Some(limit.to_string());
            let query = query(&[
                ("status", status),
                ("agent", agent),
                ("session", session),
                ("limit", limit),
            ]);
            let answer = client.get(&format!("/apps/{}/traces{query}", segment(&app.app)?)).await?;
            show_list(&answer, output.output, &COLUMNS);
            Ok(())
        }
        TraceCommand::Show { hash, app, admin } => {
            let path = format!("/apps/{}/traces/{}", segment(&app.app)?, segment(&hash)?);
            say(pretty(&AdminClient::new(&admin)?.get(&path).await?));
            Ok(())
        }
        TraceCommand::Export(args) => evidence::export(args).await,
        TraceCommand::Verify(args) => evidence::check(args).await,
        TraceCommand::Replay(args) => evidence::again(args).await,
    }
}

const COLUMNS: [Column; 6] = [
    ("TRACE", |item| cell(item, "traceHash")),
    ("STATUS", |item| cell(item, "status")),
    ("AGENT", |item| cell(item, "agentId")),
    ("BLOCKED BY", |item| cell(item, "blockedBy")),
    ("RISK", |item| cell(item, "riskScore")),
    ("CREATED", |item| cell(item, "createdAt")),
];

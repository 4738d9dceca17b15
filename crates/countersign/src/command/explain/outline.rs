//! What a policy says at all, in the core language.

use std::path::PathBuf;

use countersign_policy::Policy;

use crate::{
    cli::Output,
    command::{policy, pretty},
    failure::Failure,
    screen::{Paint, plain, say},
};

/// What policies say in the core language, whatever they were written in: all that can change a judgement.
pub(super) fn show(files: &[PathBuf], output: Output) -> Result<(), Failure> {
    for file in files {
        let policy = policy::read(file)?;
        let core: serde_json::Value = serde_json::from_str(&policy.canonical_json())
            .map_err(|error| Failure::failed(error.to_string()))?;
        match output {
            Output::Json => say(pretty(&core)),
            Output::Table => outline(&policy, &core),
        }
    }
    Ok(())
}

fn outline(policy: &Policy, core: &serde_json::Value) {
    let paint = Paint::stdout();
    say(format!("{} {}", paint.bold(policy.name()), policy.id()));
    for (name, part) in core.as_object().into_iter().flatten() {
        say(paint.bold(name));
        let items = part.as_array().map_or(std::slice::from_ref(part), Vec::as_slice);
        for item in items {
            say(format!("  {}", plain(&item.to_string())));
        }
    }
}

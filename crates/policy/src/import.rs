//! From a front end to the core language, as text that people go on with.

use crate::{
    diagnostic::{Findings, PolicyErrors},
    front_end::Format,
    policy::Policy,
    source, yaml,
};

/// The policy of a file in the core language, with comments. Read again, it is the same version.
pub fn import(
    format: Format,
    name: &str,
    source: &str,
    file_name: &str,
) -> Result<String, PolicyErrors> {
    let policy = Policy::from_format(format, name, source, file_name)
        .map_err(|errors| of_another_kind(format, source, file_name).unwrap_or(errors))?;
    let mut findings = Findings::new(file_name);
    let root = source::read(source, &mut findings);
    let Some(core) = root.and_then(|root| format.compile(&root, name, &mut findings)) else {
        return Err(findings.into_errors());
    };
    let head = format!(
        "# Compiled from {} ({}). It is the core language now: change it as you like.\n",
        file_name.replace(['\n', '\r'], " "),
        format.title(),
    );
    let warnings = policy.warnings().iter().map(|warning| format!("# note: {}\n", warning.message));
    let text = yaml::write(&core, |id| format.note(id));
    Ok([head, warnings.collect(), text].concat())
}

/// What is wrong first of all where the file is written in another way than was said.
fn of_another_kind(format: Format, source: &str, file_name: &str) -> Option<PolicyErrors> {
    let mut findings = Findings::new(file_name);
    let root = source::read(source, &mut findings)?;
    let found = Format::of(&root);
    let hint = match found {
        _ if found == format || findings.has_errors() => return None,
        Format::Core if root.get("kind").is_none() && root.get("rules").is_none() => return None,
        Format::Core => "it needs no import".to_owned(),
        Format::Fields | Format::Pact | Format::JsonLogic => format!("import it from {found}"),
    };
    let message = format!("this is {}, not {}", found.title(), format.title());
    findings.error(root.place, message, hint);
    Some(findings.into_errors())
}

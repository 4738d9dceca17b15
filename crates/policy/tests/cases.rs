//! Tables of the language: each file in `cases/` is a policy whose own tests must pass.

use std::{fs, path::Path};

use countersign_policy::Policy;

#[test]
fn every_table_of_cases_holds() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/cases");
    let (mut wrong, mut count) = (Vec::new(), 0);
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        let name = path.file_name().unwrap().to_string_lossy().into_owned();
        let source = fs::read_to_string(&path).unwrap();
        match Policy::parse_untested(&source, &name) {
            Err(errors) => wrong.push(errors.to_string()),
            Ok(policy) => {
                for outcome in policy.run_tests() {
                    count += 1;
                    if !outcome.passed {
                        wrong.push(format!(
                            "{name}:{}: {}: expected {}, got {}",
                            outcome.line, outcome.name, outcome.expected, outcome.got
                        ));
                    }
                }
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    assert!(count > 100, "only {count} cases were found");
}

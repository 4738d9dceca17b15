//! The command line as a newcomer meets it: everything that is wrong is said at once, with file and line,
//! and the exit code says which kind of wrong.
#![expect(clippy::expect_used, clippy::panic, reason = "a failed test panics")]

use std::{fs, path::Path, process::Command};

use countersign_tests::{
    Setup, StoreKind,
    binary::{self, Running, Said},
    config::{self, Addresses},
    place, wait,
};
use tempfile::TempDir;

/// A whole configuration that is good, with the file that a test breaks.
fn directory() -> TempDir {
    let folder = TempDir::new().expect("a folder");
    let addresses = Addresses::before(place::free_address(), None);
    let _file = config::write(folder.path(), &Setup::new(StoreKind::Embedded), &addresses);
    folder
}

/// Writes `file` as it would be with one change; the number of the changed line.
fn change(file: &Path, good: &str, (from, to): (&str, &str)) -> usize {
    let before = good.split(from).next().filter(|before| before.len() < good.len());
    let before = before.unwrap_or_else(|| panic!("nothing to change: {from}"));
    fs::write(file, good.replacen(from, to, 1)).expect("written");
    before.lines().count().max(1).saturating_add(usize::from(before.ends_with('\n')))
}

fn check(folder: &Path) -> Said {
    binary::run(folder, &["check", "--config", "countersign.yaml"])
}

#[test]
fn a_good_configuration_passes() {
    let folder = directory();
    let said = check(folder.path());
    assert_eq!(said.code, 0, "{}{}", said.out, said.err);
}

#[test]
fn a_broken_configuration_is_refused_with_file_line_and_what() {
    let folder = directory();
    let file = folder.path().join("countersign.yaml");
    let good = fs::read_to_string(&file).expect("the configuration");
    for (from, to) in [
        ("app: default", "application: default"),
        ("id: bot,", "id: \"}:sc:org\","),
        ("id: bot,", "id: \"Bot *\","),
        ("wallets: [ops-0]", "wallets: [ops-7]"),
        ("policy: policies/bot.yaml", "policy: policies/none.yaml"),
        ("finality: 1", "finality: soon"),
        ("duplicate_window: 15s", "duplicate_window: 15 apples"),
        ("hold: 0s", "hold: 61s"),
        ("roles: [view, approve, policy, freeze]", "roles: [everything]"),
        ("token_sha256: \"", "token_sha256: \"zz"),
        ("store: { embedded: ./data }", "store: { embedded: ./data, redis: \"redis://x\" }"),
        ("ETH: \"1000\"", "ETH: \"-1\""),
    ] {
        let line = change(&file, &good, (from, to));
        for arguments in [["check", "--config"], ["serve", "--config"]] {
            let arguments = [arguments.as_slice(), &["countersign.yaml"]].concat();
            let said = binary::run(folder.path(), &arguments);
            assert_eq!(said.code, 2, "{to}: {}{}", said.out, said.err);
            assert!(said.err.contains(&format!("countersign.yaml:{line}")), "{to}: {}", said.err);
        }
    }
}

#[test]
fn everything_that_is_wrong_is_said_at_once() {
    let folder = directory();
    let file = folder.path().join("countersign.yaml");
    let text = fs::read_to_string(&file).expect("the configuration");
    let broken = text.replace("finality: 1", "finality: soon");
    let _first = change(&file, &broken, ("app: default", "application: default"));
    let policy = config::policy_file(folder.path(), "bot");
    let broken =
        fs::read_to_string(&policy).expect("the policy").replace("then: allow", "then: perhaps");
    fs::write(&policy, broken).expect("written");
    let said = check(folder.path());
    assert_eq!(said.code, 2, "{}", said.err);
    for part in ["application", "finality", "bot.yaml:"] {
        assert!(said.err.contains(part), "{part} is not said in: {}", said.err);
    }
}

#[test]
fn keys_and_certificates_that_a_start_would_refuse_are_said_at_once() {
    let folder = directory();
    let file = folder.path().join("countersign.yaml");
    let text = fs::read_to_string(&file).expect("the configuration");
    let told =
        "notify: [ { webhook: \"https://example.org/\", secret_file: secret, ca_file: ca.pem } ]";
    let door = "tls: { certificate: server.pem, key: server.key }, ";
    let with_door = text.replacen("rpc: { ", &format!("rpc: {{ {door}"), 1);
    assert_ne!(text, with_door, "{text}");
    fs::write(&file, format!("{with_door}\n{told}\n")).expect("written");
    for name in ["secret", "ca.pem", "server.pem", "server.key"] {
        fs::write(folder.path().join(name), "nothing of the kind").expect("written");
    }
    fs::write(folder.path().join("keys/ops-0.password"), "wrong").expect("written");
    for command in ["check", "serve"] {
        let said = binary::run(folder.path(), &[command, "--config", "countersign.yaml"]);
        assert_eq!(said.code, 2, "{command}: {}{}", said.out, said.err);
        assert!(said.err.contains("ops-0"), "{command}: {}", said.err);
    }
    let said = check(folder.path()).err;
    for part in ["ops-0", "ca.pem", "server.key"] {
        assert!(said.contains(part), "{part} is not said in: {said}");
    }
}

#[test]
fn a_broken_policy_is_refused_with_file_and_line() {
    let folder = directory();
    let policy = config::policy_file(folder.path(), "bot");
    let good = fs::read_to_string(&policy).expect("the policy");
    for (from, to) in [
        ("then: allow", "then: perhaps"),
        ("max: 500,", "max: 0.5e3,"),
        ("sum: usd, per: 24h", "sum: eur, per: 24h"),
        ("kind: transfer, to", "kind: transfer, spender"),
        ("\"@payees\" } }, then", "\"@payers\" } }, then"),
        ("expect: { deny: no_rule_allows }", "expect: allow"),
        (
            "[\"0x1111111111111111111111111111111111111111\"]",
            "[0x1111111111111111111111111111111111111111]",
        ),
    ] {
        let line = change(&policy, &good, (from, to));
        let said = binary::run(folder.path(), &["policy", "check", "policies/bot.yaml"]);
        assert_eq!(said.code, 2, "{to}: {}{}", said.out, said.err);
        assert!(said.err.contains(&format!("bot.yaml:{line}")), "{to}: {}", said.err);
        assert_eq!(check(folder.path()).code, 2, "{to}");
    }
}

#[test]
fn the_example_policies_pass_their_own_tests() {
    let folder = place::checkout().join("policies");
    let mut files = Vec::new();
    for entry in folder.read_dir().expect("the examples") {
        let path = entry.expect("an entry").path();
        if path.extension().is_some_and(|extension| extension == "yaml") {
            files.push(path.to_str().expect("a plain name").to_owned());
        }
    }
    assert!(files.len() >= 6, "at least six examples: {files:?}");
    for file in &files {
        let text = fs::read_to_string(file).expect("an example");
        assert!(text.contains("tests:"), "{file} has no tests in it");
        let said = binary::run(&folder, &["policy", "test", file]);
        assert_eq!(said.code, 0, "{file}: {}{}", said.out, said.err);
    }
}

#[test]
fn wrong_usage_exits_with_2_and_help_has_examples() {
    let folder = TempDir::new().expect("a folder");
    for arguments in
        [&["no-such-command"][..], &["serve"], &["serve", "--config"], &["key", "import"]]
    {
        assert_eq!(binary::run(folder.path(), arguments).code, 2, "{arguments:?}");
    }
    let missing = binary::run(folder.path(), &["serve", "--config", "none.yaml"]);
    assert_eq!(missing.code, 2, "{}", missing.err);
    assert!(missing.err.contains("none.yaml"), "{}", missing.err);
    for command in ["dev", "serve", "init", "check", "doctor", "key import", "token new"] {
        let arguments: Vec<_> = command.split(' ').chain(["--help"]).collect();
        let said = binary::run(folder.path(), &arguments);
        assert_eq!(said.code, 0, "{command}: {}", said.err);
        assert!(said.out.contains("Example"), "{command} shows no example: {}", said.out);
    }
}

#[test]
fn a_start_is_made_by_init_and_is_good() {
    let folder = TempDir::new().expect("a folder");
    let said = binary::run(folder.path(), &["init", "gateway"]);
    assert_eq!(said.code, 0, "{}{}", said.out, said.err);
    let again = binary::run(folder.path(), &["init", "gateway"]);
    assert_ne!(again.code, 0, "what is there is not overwritten: {}", again.out);
    let configuration = fs::read_dir(folder.path().join("gateway")).expect("the folder");
    let mut configuration = configuration.filter_map(|entry| entry.ok().map(|entry| entry.path()));
    let file = configuration.find(|path| path.ends_with("countersign.yaml"));
    let file = file.expect("a configuration");
    let file = file.to_str().expect("a plain name");
    let said = binary::run(folder.path(), &["check", "--config", file]);
    assert_eq!(said.code, 0, "{}{}", said.out, said.err);
}

#[test]
fn a_new_key_and_a_new_token_can_be_put_into_the_configuration() {
    let folder = TempDir::new().expect("a folder");
    fs::write(folder.path().join("password"), "correct horse").expect("written");
    let arguments = ["key", "new", "--password-file", "password", "--out", "key.json"];
    let said = binary::run(folder.path(), &arguments);
    assert_eq!(said.code, 0, "{}", said.err);
    let address =
        said.out.split_whitespace().find(|word| word.starts_with("0x") && word.len() == 42);
    let address = address.expect("the address is printed").to_lowercase();
    let keystore = fs::read_to_string(folder.path().join("key.json")).expect("the keystore");
    assert!(keystore.to_lowercase().contains(address.trim_start_matches("0x")), "{keystore}");
    assert_ne!(binary::run(folder.path(), &arguments).code, 0, "a key is never overwritten");
    let said = binary::run(folder.path(), &["token", "new", "--agent", "bot"]);
    assert_eq!(said.code, 0, "{}", said.err);
    let mut words = said.out.split(|letter: char| !letter.is_ascii_alphanumeric());
    let digest = words.find(|word| word.len() == 64);
    assert!(digest.is_some(), "the digest for the configuration: {}", said.out);
}

#[test]
fn a_second_gateway_cannot_open_the_first_ones_file() {
    let folder = directory();
    let log = folder.path().join("first.log");
    let mut command = Command::new(binary::countersign());
    command.args(["serve", "--config", "countersign.yaml"]).current_dir(folder.path());
    let first = Running::start(&mut command, &log);
    let runtime = tokio::runtime::Runtime::new().expect("a runtime");
    let opened = async || folder.path().join("data").exists().then_some(());
    runtime.block_on(wait::until("the store's file", opened));
    let text =
        fs::read_to_string(folder.path().join("countersign.yaml")).expect("the configuration");
    let second: String = text.lines().map(elsewhere).collect();
    fs::write(folder.path().join("second.yaml"), second).expect("written");
    let said = binary::run(folder.path(), &["serve", "--config", "second.yaml"]);
    assert_ne!(said.code, 0, "{}{}", said.out, said.err);
    drop(first);
}

#[cfg(target_os = "linux")]
#[test]
fn a_gateway_takes_as_many_files_as_the_system_gives() {
    let folder = directory();
    let serve = "ulimit -Sn 128; exec \"$0\" serve --config countersign.yaml";
    let mut command = Command::new("sh");
    command.args(["-c", serve]).arg(binary::countersign()).current_dir(folder.path());
    let gateway = Running::start(&mut command, &folder.path().join("log"));
    let runtime = tokio::runtime::Runtime::new().expect("a runtime");
    let opened = async || folder.path().join("data").exists().then_some(());
    runtime.block_on(wait::until("the store's file", opened));
    let limits = fs::read_to_string(format!("/proc/{}/limits", gateway.id())).expect("its limits");
    let files = limits.lines().find(|line| line.starts_with("Max open files")).expect("a line");
    let [soft, hard] = [3, 4].map(|n| files.split_whitespace().nth(n).expect("a number"));
    assert_eq!(soft, hard, "{files}");
    assert_ne!(soft, "128", "the system gives no more than that: {files}");
}

/// The same line, with another address if it is a door.
fn elsewhere(line: &str) -> String {
    match line.trim_start().split(':').next() {
        Some(door @ ("rpc" | "admin")) => {
            format!("  {door}: {{ address: \"{}\" }}\n", place::free_address())
        }
        Some(_) | None => format!("{line}\n"),
    }
}

//! Broken configurations, and exactly what is said about them.

use std::{fs, path::Path};

use countersign_core::{abi::AbiFunction, shelf::MayFall};
use tempfile::TempDir;

use super::{Config, Problem, Report, StoreChoice, read};

/// A configuration that is right; the tests break it line by line.
const GOOD: &str = r#"app: default
listen:
  rpc:   { address: "127.0.0.1:8555" }
  admin: { address: "127.0.0.1:8556" }
state: ./state
store: { embedded: ./data }
chains:
  - id: 31337
    name: anvil
    upstream: ["http://127.0.0.1:8545"]
    finality: 1
    fee_ceiling_gwei: 500
    simulate: when_available
    native: { symbol: ETH, decimals: 18 }
    tokens: [ { id: usdc, address: "0x1111111111111111111111111111111111111111", decimals: 6, price: USD } ]
    contracts: [ { id: router, address: "0x2222222222222222222222222222222222222222", abi: ["function swap(uint256 amount)"], action: swap } ]
wallets:
  - { id: ops-1, address: "0x3333333333333333333333333333333333333333", signer: { keystore: key.json, password_file: key.password }, max_in_flight: 16384 }
agents:
  - { id: bot, token_sha256: "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa", wallets: [ops-1], policy: bot.yaml, owner: alice, role: trader, duplicate_window: 15s, hold: 0s }
operators:
  - { id: alice, token_sha256: "bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb", roles: [view, approve, policy, freeze], person: alice, groups: [desk] }
guards: [ bot.yaml ]
prices: { max_age: 1h, sources: [ { static: { ETH: "3000", USD: "1" } } ] }
notify: []
"#;

/// The line of [`GOOD`] about prices.
const PRICES: &str =
    "prices: { max_age: 1h, sources: [ { static: { ETH: \"3000\", USD: \"1\" } } ] }";

/// A folder with the files that [`GOOD`] names, all of them private.
fn folder() -> TempDir {
    let folder = TempDir::new().unwrap();
    for name in ["key.json", "key.password", "bot.yaml"] {
        fs::write(folder.path().join(name), "").unwrap();
        permit(&folder.path().join(name), 0o600);
    }
    folder
}

fn permit(file: &Path, mode: u32) {
    use std::os::unix::fs::PermissionsExt as _;
    fs::set_permissions(file, fs::Permissions::from_mode(mode)).unwrap();
}

/// Reads `text`; the messages are shown as `line:column: message`.
fn load(folder: &Path, text: &str) -> (Option<Config>, Vec<String>, Vec<String>) {
    let file = folder.join("countersign.yaml");
    fs::write(&file, text).unwrap();
    let report = Report::new(&file);
    let config = read(&file, &report);
    let shown = |problems: Vec<Problem>| -> Vec<String> {
        let prefix = format!("{}/", folder.display());
        let whole = format!("{prefix}countersign.yaml:");
        let text = |problem: Problem| problem.to_string().replace(&whole, "").replace(&prefix, "");
        problems.into_iter().map(text).collect()
    };
    match report.finish(config) {
        Ok((config, warnings)) => (Some(config), Vec::new(), shown(warnings)),
        Err(problems) => (None, shown(problems.0), Vec::new()),
    }
}

/// The problems of [`GOOD`] with a piece replaced.
fn problems_of(from: &str, to: &str) -> Vec<String> {
    assert!(GOOD.contains(from), "the good configuration lacks `{from}`");
    let folder = folder();
    load(folder.path(), &GOOD.replacen(from, to, 1)).1
}

#[test]
fn a_head_grows_old_where_blocks_come_by_themselves() {
    for (id, line, expected) in [
        (31337, "finality: 1", 0),
        (11_155_111, "finality: 1", 0),
        (1, "finality: 1", 600_000),
        (42161, "finality: 1", 600_000),
        (1, "stale_after: 0s", 0),
        (31337, "stale_after: 30s", 30_000),
    ] {
        let text = GOOD.replace("id: 31337", &format!("id: {id}")).replace("finality: 1", line);
        let (config, errors, _) = load(folder().path(), &text);
        let chain = &config.unwrap_or_else(|| panic!("{errors:?}")).chains[0];
        assert_eq!(chain.stale_after.0, expected, "{id}, {line}");
    }
}

#[test]
fn a_good_configuration_is_read_without_a_word() {
    let folder = folder();
    let (config, problems, warnings) = load(folder.path(), GOOD);
    assert_eq!((problems, warnings), (Vec::new(), Vec::new()));
    let config = config.unwrap();
    assert_eq!(config.chains[0].fee_ceiling, 500_000_000_000);
    assert_eq!(config.state, folder.path().join("./state"));
    assert_eq!(config.agents[0].duplicate_window.to_string(), "15s");
}

#[test]
fn every_kind_of_redis_is_written_in_one_line() {
    let folder = folder();
    fs::write(folder.path().join("key.password"), "p/a#s?s@w:o%rd\nwhat follows is a remark\n")
        .unwrap();
    for (store, shown) in [
        ("{ redis: \"redis://h\" }", "redis://h"),
        (
            "{ redis: \"rediss://user@h:6380/2\", password_file: key.password, acknowledge_replicas: 1 }",
            "rediss://h:6380",
        ),
        ("{ redis: [\"redis://a\", \"redis://b\"], cluster: true }", "redis://a, redis://b"),
        ("{ redis: \"redis://a\", cluster: true }", "redis://a"),
        (
            "{ redis: [\"redis://a\", \"redis://b\"], sentinel: main, cluster: false }",
            "redis://a, redis://b",
        ),
        (
            "{ redis: \"redis://a:26379\", sentinel: { master: main, user: w, password_file: key.password } }",
            "redis://a:26379",
        ),
    ] {
        let text = GOOD.replace("{ embedded: ./data }", store);
        let (config, problems, warnings) = load(folder.path(), &text);
        assert_eq!((problems, warnings), (Vec::new(), Vec::new()), "{store}");
        let StoreChoice::Redis(redis) = config.unwrap().store else { panic!("{store}") };
        assert_eq!(redis.shown(), shown, "{store}");
        assert!(!format!("{redis:?} {:?}", redis.address()).contains("p/a#"), "{store}");
    }
}

#[test]
fn a_stores_secret_files_are_nobody_elses_business() {
    let folder = folder();
    fs::write(folder.path().join("redis.password"), "secret\n").unwrap();
    permit(&folder.path().join("redis.password"), 0o644);
    let text = GOOD.replace(
        "{ embedded: ./data }",
        "{ redis: \"redis://user@h\", password_file: redis.password }",
    );
    let message =
        "6:17: the secret file `redis.password` can be read by others: chmod 600 redis.password";
    let (_, problems, warnings) = load(folder.path(), &text);
    assert_eq!((problems, warnings), (Vec::new(), vec![message.to_owned()]));
    let (_, problems, _) = load(folder.path(), &text.replace("id: 31337", "id: 8453"));
    assert_eq!(problems, [message]);
}

/// A folder with a file of ABIs in it, and the configuration that names it.
fn with_abi(name: &str, abi: &str) -> (TempDir, String) {
    let folder = folder();
    fs::create_dir(folder.path().join("abis")).unwrap();
    fs::write(folder.path().join("abis").join(name), abi).unwrap();
    (folder, format!("{GOOD}abis: abis\n"))
}

const SWAP: &str = r#"[
	{ "type": "event", "name": "Swapped", "inputs": [] },
  { "type": "function", "name": "swap", "stateMutability": "payable", "outputs": [], "inputs": [
    { "name": "p", "type": "tuple[]", "internalType": "struct P[]", "components": [
      { "name": "tokenIn", "type": "address" }, { "name": "", "type": "uint256[2]" } ] } ] }
]"#;

#[test]
fn a_folder_of_abis_names_what_contracts_do() {
    let own = "0x2222222222222222222222222222222222222222.json";
    let artifact = format!("{{ \"bytecode\": \"0x\", \"abi\": {SWAP} }}");
    for (name, abi) in [("router.json", SWAP), (own, SWAP), ("router.json", &artifact)] {
        let (folder, text) = with_abi(name, abi);
        let (config, problems, warnings) = load(folder.path(), &text);
        assert_eq!((problems, warnings), (Vec::new(), Vec::new()), "{name}");
        let abi = &config.unwrap().chains[0].contracts[0].abi;
        let signatures: Vec<_> = abi.iter().map(AbiFunction::signature).collect();
        assert_eq!(signatures, ["swap(uint256)", "swap((address,uint256[2])[])"]);
        assert_eq!(abi[1].inputs()[0].components[0].name, "tokenIn");
    }
}

#[test]
fn an_abi_that_is_not_one_is_refused_where_it_goes_wrong() {
    let swap = |inputs: &str| {
        format!("[\n{{\"type\":\"function\",\"name\":\"swap\",\"inputs\":{inputs}}}]")
    };
    for (name, abi, message) in [
        ("README.md", "", "abis/README.md: is not an ABI: expected NAME.json or 0x….json"),
        (
            "pool.json",
            "[]",
            "abis/pool.json: no chain has a contract `pool`: name one so, or the file after its address",
        ),
        (
            "0x12.json",
            "[]",
            "abis/0x12.json: `0x12` is not an address: expected 0x and 40 hex digits",
        ),
        (
            "router.json",
            "{}",
            "abis/router.json:1:1: expected an ABI: a list, or an artifact with a list under `abi`",
        ),
        ("router.json", "[\n{}]", "abis/router.json:2:1: an ABI entry lacks the text `type`"),
        (
            "router.json",
            "[{\"type\":\"functoin\"}]",
            "abis/router.json:1:2: `functoin` is no kind of ABI entry",
        ),
        (
            "router.json",
            "[{\"type\":\"function\",\"name\":\"f\"}]",
            "abis/router.json:1:2: an ABI entry lacks the list `inputs`",
        ),
        (
            "router.json",
            &swap("[{\"name\":\"a\",\"type\":\"uint7\"}]"),
            "abis/router.json:2:1: `swap(uint7 a)` is not a function signature: expected name(type name, ...)",
        ),
        (
            "router.json",
            &swap("[{\"name\":\"to\",\"type\":\"uint256\"}]"),
            "abis/router.json:2:1: `swap(uint256)` stands here twice with other names of its parameters",
        ),
    ] {
        let (folder, text) = with_abi(name, abi);
        assert_eq!(load(folder.path(), &text).1, [message], "{name} {abi}");
    }
    let (folder, text) = with_abi("router.json", "[]");
    let missing = text.replace("abis: abis", "abis: none");
    assert_eq!(load(folder.path(), &missing).1, ["26:7: there is no folder `none`"]);
}

/// `many_msg_babbage(bytes1)` has the selector of `transfer(address,uint256)`.
#[test]
fn functions_of_a_contract_with_one_selector_are_refused() {
    let both = "abi: [\"function transfer(address a, uint256 b)\", \"function many_msg_babbage(bytes1 a)\"]";
    let problems = problems_of("abi: [\"function swap(uint256 amount)\"]", both);
    assert_eq!(
        problems,
        [
            "16:18: `transfer(address,uint256)` and `many_msg_babbage(bytes1)` have the same selector: a call could be either"
        ]
    );
}

#[test]
fn a_container_is_one_that_we_know() {
    let folder = folder();
    let text = GOOD.replace("action: swap }", "action: swap, container: universal_router }");
    let (config, problems, warnings) = load(folder.path(), &text);
    assert_eq!((problems, warnings), (Vec::new(), Vec::new()));
    let container = config.unwrap().chains[0].contracts[0].container;
    assert_eq!(container, Some(countersign_decode::Container::UniversalRouter));
    let problems = problems_of("action: swap }", "action: swap, container: universal_ruoter }");
    assert!(
        problems[0].contains("`universal_ruoter` is not one of multicall3, multicall, safe"),
        "{problems:?}"
    );
    assert!(problems[0].ends_with("did you mean `universal_router`?"), "{problems:?}");
}

/// A piece of [`GOOD`], what is written instead, and everything that is said about it.
const MISTAKES: &[(&str, &str, &[&str])] = &[
    (
        "app: default",
        "aap: default",
        &["1:1: unknown key `aap` in the configuration; did you mean `app`?"],
    ),
    (
        "app: default",
        "app: De:fault",
        &["1:6: `De:fault` is not a name: use 1 to 63 of a-z, 0-9 and -"],
    ),
    ("app: default", "app: &a default", &[]),
    (
        "app: default",
        "app: default\napp: other",
        &["2:1: `app` stands here twice, first in line 1"],
    ),
    (
        "app: default",
        "app: \"default",
        &["2:1: not YAML: invalid indentation in multiline quoted scalar"],
    ),
    (
        "127.0.0.1:8555",
        "127.0.0.1",
        &["3:21: `127.0.0.1` is not an address: expected IP:PORT, as in 127.0.0.1:8555"],
    ),
    (
        "{ embedded: ./data }",
        "{ embedded: ./data, redis: \"redis://h\" }",
        &["6:8: `store` needs exactly one of `embedded: FOLDER` and `redis: URL`"],
    ),
    (
        "{ embedded: ./data }",
        "{ redis: \"http://h\" }",
        &["6:17: expected a URL that begins with redis:// or rediss://"],
    ),
    (
        "{ embedded: ./data }",
        "{ redis: \"redis://u:hunter2@h\" }",
        &["6:17: a password is written in this URL: put it into the environment and write ${NAME}"],
    ),
    (
        "{ embedded: ./data }",
        "{ redis: \"${COUNTERSIGN_UNSET}\" }",
        &[
            "6:17: the environment variable `COUNTERSIGN_UNSET` is not set: export it, or use a *_file key",
        ],
    ),
    (
        "{ embedded: ./data }",
        "{ redis: \"redis://h:p/a#s\" }",
        &[
            "6:17: the store's url is not of the form redis://host:port or rediss://user:password@host:port/database; what a url cannot hold, in a password too, is written %XX",
        ],
    ),
    (
        "{ embedded: ./data }",
        "{ redis: [\"redis://a\", \"redis://b\"] }",
        &["6:17: several urls need `sentinel: NAME` or `cluster: true`"],
    ),
    ("{ embedded: ./data }", "{ redis: [] }", &["6:17: the store needs at least one url"]),
    (
        "{ embedded: ./data }",
        "{ redis: [\"redis://a\", \"ftp://b\"], cluster: true }",
        &["6:31: expected a URL that begins with redis:// or rediss://"],
    ),
    (
        "{ embedded: ./data }",
        "{ redis: \"redis://h\", sentinel: main, cluster: true }",
        &["6:8: `sentinel` and `cluster` exclude each other"],
    ),
    (
        "{ embedded: ./data }",
        "{ redis: \"redis://h\", cluster: yes }",
        &["6:39: `yes` is not one of true, false"],
    ),
    (
        "{ embedded: ./data }",
        "{ redis: \"redis://h/1\", cluster: true }",
        &["6:17: a cluster has no databases but 0"],
    ),
    (
        "{ embedded: ./data }",
        "{ redis: \"redis://h\", sentinel: \"my main\" }",
        &["6:40: `my main` is not a master's name: use letters, digits and .-_ as sentinels do"],
    ),
    (
        "{ embedded: ./data }",
        "{ redis: \"redis://h\", sentinel: { master: main, password: x } }",
        &[
            "6:40: `sentinel` lacks `password_file`",
            "6:56: unknown key `password` in `sentinel` (known: master, user, password_file)",
        ],
    ),
    (
        "{ embedded: ./data }",
        "{ redis: \"redis://h\", ca: bot.yaml }",
        &["6:17: certificates are used with rediss:// only"],
    ),
    (
        "{ embedded: ./data }",
        "{ redis: \"rediss://h\", ca: bot.yaml }",
        &["6:17: a certificate cannot be read: expected PEM"],
    ),
    (
        "{ embedded: ./data }",
        "{ redis: \"rediss://h\", certificate: bot.yaml }",
        &["6:8: `certificate` and `key` go together"],
    ),
    (
        "{ embedded: ./data }",
        "{ redis: \"rediss://h#insecure\" }",
        &[
            "6:17: the store's url is not of the form redis://host:port or rediss://user:password@host:port/database; what a url cannot hold, in a password too, is written %XX",
        ],
    ),
    (
        "{ embedded: ./data }",
        "{ redis: \"redis://user@h\" }",
        &["6:17: the store's url names a user and no password"],
    ),
    (
        "{ embedded: ./data }",
        "{ redis: \"redis://h\", password_file: lost.password }",
        &["6:45: there is no file `lost.password`"],
    ),
    (
        "{ embedded: ./data }",
        "{ embedded: ./data, cluster: true }",
        &["6:37: `cluster` is of use with `redis: URL` only"],
    ),
    ("id: 31337", "id: 0", &["8:9: `0` is not a chain id"]),
    ("[\"http://127.0.0.1:8545\"]", "[]", &["10:15: a chain needs at least one `upstream` URL"]),
    (
        "finality: 1",
        "finality: soon",
        &["11:15: `soon` is no finality: expected a number of blocks from 1, or finalized"],
    ),
    (
        "finality: 1",
        "explorer: \"javascript:alert(1)\"",
        &[
            "11:15: this is no page of an explorer: expected a plain URL, as in https://etherscan.io",
        ],
    ),
    ("finality: 1", "stale_after: 2d", &["11:18: `2d` is too long: at most 1d"]),
    (
        "fee_ceiling_gwei: 500",
        "fee_ceiling_gwei: -1",
        &["12:23: `-1` is not a fee in gwei: expected a number above 0, as in 500 or 0.5"],
    ),
    ("when_available", "always", &["13:15: `always` is not one of when_available, off, required"]),
    (
        "0x1111111111111111111111111111111111111111",
        "0x5aAeb6053F3E94C9b9A09f33669435E7Ef1BeAeD",
        &[
            "15:36: `0x5aAeb6053F3E94C9b9A09f33669435E7Ef1BeAeD` has a wrong checksum: if the digits are right it is 0x5aAeb6053F3E94C9b9A09f33669435E7Ef1BeAed",
        ],
    ),
    (
        "0x1111111111111111111111111111111111111111",
        "0x11",
        &["15:36: `0x11` is not an address: expected 0x and 40 hex digits"],
    ),
    ("id: usdc", "id: eth", &["15:15: the token `eth` is already used in line 8"]),
    (
        "    contracts: [",
        "    collections: [ { id: usdc, address: \"0x4444444444444444444444444444444444444444\", standard: erc721 } ]\n    contracts: [",
        &["16:20: the token `usdc` is already used in line 15"],
    ),
    (
        "    contracts: [",
        "    collections: [ { id: apes, address: \"0x1111111111111111111111111111111111111111\", standard: erc721 } ]\n    contracts: [",
        &[
            "16:20: the token address `0x1111111111111111111111111111111111111111` is already used in line 15",
        ],
    ),
    (
        "    contracts: [",
        "    collections: [ { id: apes, address: \"0x4444444444444444444444444444444444444444\", standard: erc20 } ]\n    contracts: [",
        &["16:97: `erc20` is not one of erc721, erc1155; did you mean `erc721`?"],
    ),
    (
        "    contracts: [",
        "    collections: [ { id: apes, address: \"0x4444444444444444444444444444444444444444\", standard: erc721, held_max: 0 } ]\n    contracts: [",
        &["16:115: `0` is no number of items: expected 1 to 1000000"],
    ),
    (
        "    contracts: [",
        "    collections: [ { id: apes, address: \"0x4444444444444444444444444444444444444444\" } ]\n    contracts: [",
        &["16:20: a collection lacks `standard`"],
    ),
    (
        "function swap(uint256 amount)",
        "swap",
        &["16:93: `swap` is not a function signature: expected name(type name, ...)"],
    ),
    (
        "id: ops-1",
        "id: \"}:sc:org\"",
        &[
            "18:11: `}:sc:org` is not a name: use 1 to 63 of a-z, 0-9 and -",
            "20:108: there is no wallet `ops-1`",
        ],
    ),
    (
        "signer: { keystore: key.json, password_file: key.password }",
        "signer: eternal",
        &["18:81: `eternal` is not one of external; did you mean `external`?"],
    ),
    ("keystore: key.json", "keystore: lost.json", &["18:93: there is no file `lost.json`"]),
    (
        "keystore: key.json",
        "private_key: \"0x01\"",
        &[
            "18:81: `signer` lacks `keystore`",
            "18:83: unknown key `private_key` in `signer` (known: keystore, password_file)",
        ],
    ),
    (
        "wallets: [ops-1]",
        "wallets: [ops-2]",
        &["20:108: there is no wallet `ops-2`; did you mean `ops-1`?"],
    ),
    ("wallets: [ops-1]", "wallets: []", &["20:107: an agent needs at least one wallet"]),
    (
        "token_sha256: \"aaaa",
        "token_sha256: \"zzz",
        &[
            "20:30: not a SHA-256 in 64 hex digits: `countersign token new` prints a token with its hash",
        ],
    ),
    (
        "bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb",
        "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA",
        &[
            "22:32: the operator `alice` has the same token as the agent `bot`: make one with `countersign token new`",
        ],
    ),
    ("policy: bot.yaml", "policy: bots.yaml", &["20:124: there is no file `bots.yaml`"]),
    ("hold: 0s", "hold: 61s", &["20:191: `61s` is too long: at most 1m"]),
    (
        "duplicate_window: 15s",
        "duplicate_window: 15",
        &["20:180: `15` is not a duration: expected a number and a unit, as in 15s, 2h or 7d"],
    ),
    (
        "[view, approve",
        "[veiw, approve",
        &["22:108: `veiw` is not one of view, approve, policy, freeze; did you mean `view`?"],
    ),
    ("ETH: \"3000\"", "ETH: \"0\"", &["24:52: a price must be above 0"]),
    (
        PRICES,
        "prices: { max_age: 31d, deviation: 2, change_per_minute: 0%, refresh: 10ms }",
        &[
            "24:20: `31d` is too long: at most 30d",
            "24:36: `2` is not a percentage from 0.01% to 100%, as in 2% or 0.5%",
            "24:58: `0%` is not a percentage from 0.01% to 100%, as in 2% or 0.5%",
            "24:71: `10ms` is not between 1s and 10m",
        ],
    ),
    (
        PRICES,
        "prices: { sources: [ { static: { ETH: \"1\" }, http: { url: \"https://h\", prices: { ETH: /e } } }, {} ] }",
        &[
            "24:22: a price source is one of `static`, `chainlink` and `http`",
            "24:97: a price source is one of `static`, `chainlink` and `http`",
        ],
    ),
    (
        PRICES,
        "prices: { sources: [ { static: { ETH: \"1\" } }, { static: { ETH: \"2\" } } ] }",
        &["24:65: the static price of `ETH` is already used in line 24"],
    ),
    (
        PRICES,
        "prices: { sources: [ { chainlink: { chain: 5, feeds: { ETH: \"0x1111111111111111111111111111111111111111\" } } } ] }",
        &["24:44: there is no chain 5 under `chains`"],
    ),
    (
        PRICES,
        "prices: { sources: [ { chainlink: { chain: 31337, feeds: { ETH: \"0x11\" }, stale: 1h } } ] }",
        &[
            "24:65: `0x11` is not an address: expected 0x and 40 hex digits",
            "24:75: unknown key `stale` in `chainlink` (known: chain, feeds, max_age, sequencer_uptime_feed)",
        ],
    ),
    (
        PRICES,
        "prices: { sources: [ { http: { url: \"ftp://h\", prices: { ETH: eth, USD: { at: /t } }, bearer_file: lost } } ] }",
        &[
            "24:37: expected a URL that begins with https:// or http://",
            "24:63: `eth` is not a JSON pointer, as in /ethereum/usd",
            "24:73: a price's place lacks `price`",
            "24:100: there is no file `lost`",
        ],
    ),
    (
        "notify: []",
        "notify: [ { webhook: \"https://h\" } ]",
        &["25:11: a webhook lacks `secret_file`: nobody could tell its notices from forged ones"],
    ),
    (
        "notify: []",
        "notify: [ { webhook: \"https://h\", secret_file: key.password, events: [nothing] } ]",
        &[
            "25:71: `nothing` is not an event: use pending, incident, freeze, seal, policy, pending.created, pending.decided, pending.expired, incident.opened, incident.reopened, incident.escalated, incident.changed, freeze.set, freeze.lifted, ledger.sealed, ledger.unsealed, policy.changed",
        ],
    ),
    (
        "hold: 0s",
        "hold: 0s, breaker: { denials: 10001, within: 1m }",
        &["20:215: `10001` is not a number from 0 to 10000; 0 turns it off"],
    ),
    (
        "hold: 0s",
        "hold: 0s, breaker: { denials: 5, within: 10ms }",
        &["20:226: denials are counted over 1s at least"],
    ),
    (
        "notify: []",
        "telemetry: { otlp: \"grpc://c\", protocol: json, sample: \"0.5\", bearer_file: lost }",
        &[
            "25:20: expected a URL that begins with http:// or https://",
            "25:42: `json` is not one of grpc, http/protobuf",
            "25:56: `0.5` is not a percentage from 0.01% to 100%, as in 2% or 0.5%",
            "25:76: there is no file `lost`",
        ],
    ),
    (
        "notify: []",
        "telemetry: { otlp: \"http://user@c\" }",
        &["25:20: a collector's credentials go into `bearer_file` or `headers_file`"],
    ),
    ("prices: {", "prices: {{", &["24:10: a key must be a plain word"]),
];

#[test]
fn every_mistake_is_named_with_its_place_and_what_to_do() {
    let wrong: Vec<String> = MISTAKES
        .iter()
        .filter_map(|(from, to, expected)| {
            let found = problems_of(from, to);
            (found != *expected).then(|| format!("`{from}` -> `{to}`: {found:#?}"))
        })
        .collect();
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn all_mistakes_are_named_at_once() {
    let folder = folder();
    let text =
        GOOD.replace("app: default", "app: X").replace("[ops-1]", "[ops-9]").replace("15s", "soon");
    let (_, problems, _) = load(folder.path(), &text);
    let lines: Vec<&str> = problems.iter().map(|p| p.split(':').next().unwrap()).collect();
    assert_eq!(lines, ["1", "20"], "{problems:?}");
}

#[test]
fn a_secret_from_the_environment_never_shows_in_a_message() {
    let folder = folder();
    let text = GOOD.replace("app: default", "app: \"${PATH}\"");
    let (_, problems, _) = load(folder.path(), &text);
    assert_eq!(problems, ["1:6: `${PATH}` is not a name: use 1 to 63 of a-z, 0-9 and -"]);
}

#[test]
fn an_open_secret_file_is_a_warning_in_development_and_refused_where_money_is() {
    let folder = folder();
    permit(&folder.path().join("key.json"), 0o644);
    let message = "18:5: the secret file `key.json` can be read by others: chmod 600 key.json";
    let (_, problems, warnings) = load(folder.path(), GOOD);
    assert_eq!((problems, warnings), (Vec::new(), vec![message.to_owned()]));
    let (_, problems, _) = load(folder.path(), &GOOD.replace("id: 31337", "id: 8453"));
    assert_eq!(problems, [message]);
}

#[test]
fn a_collection_is_priced_by_its_name_and_policies_may_name_it() {
    let folder = folder();
    let line = "collections: [ { id: apes, address: \"0x4444444444444444444444444444444444444444\", standard: erc1155, held_max: 7 } ]";
    let text = GOOD.replace("contracts: [", &format!("{line}\n    contracts: ["));
    let (config, errors, warnings) = load(folder.path(), &text);
    assert_eq!(errors, Vec::<String>::new());
    assert_eq!(
        warnings,
        ["16:20: no price source names `APES`: every limit in USD will refuse it"]
    );
    let chain = config.unwrap().chains.remove(0);
    assert_eq!(chain.token_names(), ["eth@31337", "usdc@31337", "apes@31337"]);
    assert_eq!(
        (chain.collections[0].price.as_str(), chain.collections[0].held_max),
        ("APES", Some(7))
    );
}

#[test]
fn a_gate_that_nobody_can_open_is_a_warning_where_it_is_written() {
    let warned = |text: &str| load(folder().path(), &format!("{GOOD}{text}")).2;
    let shut = warned("policy_changes: { approvals: 1 }\n");
    let [one] = shut.as_slice() else { panic!("{shut:?}") };
    assert!(one.contains("needs 1 approvals by others than the proposer"), "{one}");
    for open in ["", "policy_changes: { approvals: 0 }\n"] {
        assert!(warned(open).is_empty(), "{open}");
    }
}

#[test]
fn how_far_evaluators_may_fall_is_read_to_the_hundredth() {
    let read = |text: &str| {
        let line = format!("policy_changes: {{ approvals: 0, may_fall: {{ {text} }} }}\n");
        load(folder().path(), &format!("{GOOD}{line}"))
    };
    let (config, problems, _) = read("safety: 0%, utility: 12.5%, economics: 100%");
    assert_eq!(problems, Vec::<String>::new());
    let expected = MayFall {
        safety: Some(0),
        utility: Some(1250),
        economics: Some(10_000),
        ..MayFall::default()
    };
    assert_eq!(config.unwrap().policy_changes.value.gate.may_fall, expected);
    for (wrong, word) in [
        ("safety: 5", "from 0% to 100%"),
        ("safety: 100.01%", "from 0% to 100%"),
        ("latency: 1.234%", "from 0% to 100%"),
        ("compliance: -1%", "from 0% to 100%"),
        ("speed: 5%", "speed"),
    ] {
        let (_, problems, _) = read(wrong);
        let [one] = problems.as_slice() else { panic!("{wrong}: {problems:?}") };
        assert!(one.contains(word), "{one}");
    }
}

#[test]
fn what_works_but_surprises_is_a_warning() {
    let folder = folder();
    let text = GOOD.replace("127.0.0.1:8555", "0.0.0.0:8555").replace("USD: \"1\"", "EUR: \"1\"");
    let (_, _, warnings) = load(folder.path(), &text);
    assert_eq!(
        warnings,
        [
            "3:10: listens beyond this machine without tls: tokens travel in the clear",
            "15:15: no price source names `USD`: every limit in USD will refuse it",
        ]
    );
}

#[test]
fn a_missing_file_is_one_plain_sentence() {
    let folder = folder();
    let file = folder.path().join("nowhere.yaml");
    let report = Report::new(&file);
    let config = read(&file, &report);
    let problems = report.finish(config).unwrap_err();
    assert!(
        problems
            .to_string()
            .ends_with("nowhere.yaml: cannot be read: No such file or directory (os error 2)")
    );
}

#[test]
fn every_kind_of_price_source_is_read() {
    let folder = folder();
    let to = r#"prices:
  deviation: 0.5%
  change_per_minute: 25%
  refresh: 10s
  sources:
    - chainlink: { chain: 31337, max_age: 70m, feeds: { ETH: "0x5555555555555555555555555555555555555555" }, sequencer_uptime_feed: "0x6666666666666666666666666666666666666666" }
    - http:
        url: "https://prices.example/simple"
        bearer_file: key.password
        deadline: 2s
        prices: { ETH: /ethereum/usd, USD: { price: /usd-coin/usd, at: /usd-coin/last_updated_at } }
    - static: { USD: "1" }"#;
    let (config, problems, warnings) = load(folder.path(), &GOOD.replace(PRICES, to));
    assert_eq!((problems, warnings), (Vec::new(), Vec::new()));
    let prices = config.unwrap().prices;
    assert_eq!(
        (prices.deviation.0, prices.change_per_minute.0, prices.refresh.0),
        (50, 2500, 10_000)
    );
    assert_eq!(prices.sources.len(), 3);
    assert_eq!(prices.fixed().keys().collect::<Vec<_>>(), ["USD"]);
    assert!(prices.names("ETH") && !prices.names("BTC"));
}

#[test]
fn receivers_and_breakers_are_read() {
    let folder = folder();
    let text = GOOD.replace(
        "notify: []",
        r#"breaker: { denials: 20, within: 1m }
notify:
  - { webhook: "https://hooks.example/a", secret_file: key.password }
  - { webhook: "https://hooks.slack.com/services/x", format: slack, events: [pending, incident.opened] }
  - { webhook: "http://127.0.0.1:9/b", secret_file: key.password, reach: loopback }"#,
    );
    let text = text.replace("hold: 0s", "hold: 0s, breaker: { denials: 0, within: 1m }");
    let (config, problems, _) = load(folder.path(), &text);
    assert_eq!(problems, Vec::<String>::new());
    let config = config.unwrap();
    let kinds: Vec<usize> = config.notify.iter().map(|entry| entry.kinds.len()).collect();
    assert_eq!(kinds, [12, 4, 12]);
    let breakers = [config.breaker, config.agents[0].breaker];
    let denials = breakers.map(|breaker| breaker.map(|breaker| breaker.denials));
    assert_eq!(denials, [Some(20), Some(0)]);
}

#[test]
fn a_price_sources_secrets_and_its_way_are_nobody_elses_business() {
    let folder = folder();
    fs::write(folder.path().join("token"), "abc").unwrap();
    permit(&folder.path().join("token"), 0o644);
    let to = r#"prices: { sources: [ { http: { url: "http://prices.example/", bearer_file: token, prices: { ETH: /e, USD: /u } } } ] }"#;
    let text = GOOD.replace(PRICES, to);
    let expected = [
        "24:37: prices over http:// can be changed on the way: use https://, or a server of this machine",
        "24:76: the secret file `token` can be read by others: chmod 600 token",
    ];
    let (_, problems, warnings) = load(folder.path(), &text);
    assert_eq!(
        (problems.as_slice(), warnings.as_slice()),
        (&[][..], &expected.map(String::from)[..])
    );
    let (_, problems, _) = load(folder.path(), &text.replace("id: 31337", "id: 8453"));
    assert_eq!(problems, expected);
    for host in ["localhost:1", "127.0.0.1", "[::1]:1"] {
        let text = text.replace("prices.example", host).replace("bearer_file: token, ", "");
        assert!(load(folder.path(), &text).2.is_empty(), "{host}");
    }
}

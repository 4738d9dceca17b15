//! Where things are and which ports are free.

use std::{
    net::{Ipv4Addr, SocketAddr, TcpListener},
    path::{Path, PathBuf},
    sync::atomic::{AtomicU32, Ordering},
};

/// The root of the checkout.
#[must_use]
pub fn checkout() -> PathBuf {
    let tests = Path::new(env!("CARGO_MANIFEST_DIR"));
    tests.parent().map(Path::to_path_buf).expect("the tests lie inside the checkout")
}

/// The folder of the real clients, where npm puts anvil and cast too.
#[must_use]
pub fn clients() -> PathBuf {
    checkout().join("tests/clients")
}

/// The ports that [`free_address`] gives out: below those that the system takes for connections, so that no connection
/// that is made meanwhile sits on one of them.
const PORTS: std::ops::Range<u16> = 10_000..32_000;

/// A port of the loopback that nobody listens on at this moment, and that this process gives out once. Does not reserve
/// it.
#[must_use]
pub fn free_address() -> SocketAddr {
    static GIVEN: AtomicU32 = AtomicU32::new(0);
    let count = u32::from(PORTS.end.saturating_sub(PORTS.start));
    // test processes that run at the same time begin far from each other
    let first = std::process::id().wrapping_mul(499);
    for _ in 0..count {
        let number = first.wrapping_add(GIVEN.fetch_add(1, Ordering::Relaxed));
        let offset = number.checked_rem(count).and_then(|offset| u16::try_from(offset).ok());
        let port = PORTS.start.saturating_add(offset.expect("below the count"));
        if let Ok(listener) = TcpListener::bind((Ipv4Addr::LOCALHOST, port)) {
            return listener.local_addr().expect("its address");
        }
    }
    panic!("no port is free")
}

/// A variable of the environment: how `scripts/test` tells the tests where things are.
#[must_use]
pub fn environment(name: &str) -> Option<PathBuf> {
    #[expect(clippy::disallowed_methods, reason = "the tests' own settings, not the gateway's")]
    let value = std::env::var_os(name);
    value.filter(|value| !value.is_empty()).map(PathBuf::from)
}

/// A program: named by `variable`, in one of `folders`, or on the PATH.
#[must_use]
pub fn program(name: &str, variable: &str, folders: &[PathBuf]) -> PathBuf {
    let path = environment("PATH").unwrap_or_default();
    let on_path: Vec<PathBuf> = std::env::split_paths(&path).collect();
    let named = environment(variable);
    let found = folders.iter().chain(&on_path).map(|folder| folder.join(name));
    named
        .into_iter()
        .chain(found)
        .find(|file| file.is_file())
        .unwrap_or_else(|| panic!("no `{name}` found: run ./scripts/test once, or set {variable}"))
}

/// The folders in which `scripts/test` keeps a Python with web3.py.
#[must_use]
pub fn web3py_folders() -> Vec<PathBuf> {
    let home = environment("HOME").map(|home| home.join(".cache"));
    let cache = environment("XDG_CACHE_HOME").or(home).unwrap_or_default().join("countersign");
    let entries = cache.read_dir().into_iter().flatten().flatten().map(|entry| entry.path());
    let complete = entries.filter(|folder| folder.join("complete").is_file());
    complete.map(|folder| folder.join("bin")).collect()
}

/// The folders in which npm keeps the native binary of one of foundry's tools. Its wrapper script is
/// not used: it exits 0 on failure.
#[must_use]
pub fn foundry_folders(tool: &str) -> Vec<PathBuf> {
    let scope = clients().join("node_modules/@foundry-rs");
    let platforms = ["linux-amd64", "linux-arm64", "darwin-arm64", "darwin-amd64"];
    platforms.iter().map(|platform| scope.join(format!("{tool}-{platform}/bin"))).collect()
}

//! The real binary, and processes that end with the test.

use std::{
    fs::File,
    io::{Read as _, Seek as _},
    path::{Path, PathBuf},
    process::{Child, Command, ExitStatus, Stdio},
    sync::OnceLock,
    thread,
    time::Duration,
};

use crate::{place, wait};

/// `countersign`: named by `COUNTERSIGN_BIN` (as `scripts/test` does after its build), else built now.
pub fn countersign() -> &'static Path {
    static BINARY: OnceLock<PathBuf> = OnceLock::new();
    BINARY.get_or_init(|| place::environment("COUNTERSIGN_BIN").unwrap_or_else(build))
}

/// Builds the binary beside the running test, so that both come from one profile.
fn build() -> PathBuf {
    let test = std::env::current_exe().expect("the running test has a path");
    let profile = test.parent().and_then(Path::parent).expect("target/<profile>/deps/<test>");
    let target = profile.parent().expect("target/<profile>");
    let cargo = place::environment("CARGO").unwrap_or_else(|| PathBuf::from("cargo"));
    let status = Command::new(cargo)
        .args(["build", "--quiet", "--package", "countersign", "--target-dir"])
        .arg(target)
        .current_dir(place::checkout())
        .status()
        .expect("cargo runs");
    assert!(status.success(), "countersign does not build");
    profile.join("countersign")
}

/// What a finished command said.
#[derive(Debug, Clone)]
pub struct Said {
    /// Its exit code; -1 where a signal ended it.
    pub code: i32,
    /// Its standard output.
    pub out: String,
    /// Its standard error.
    pub err: String,
}

/// Runs `countersign` to its end, which must come within [`wait::PATIENCE`].
#[must_use]
pub fn run(folder: &Path, arguments: &[&str]) -> Said {
    let [mut out, mut err] = [(); 2].map(|()| tempfile::tempfile().expect("a temporary file"));
    let mut child = Command::new(countersign())
        .args(arguments)
        .current_dir(folder)
        .stdin(Stdio::null())
        .stdout(out.try_clone().expect("a second handle"))
        .stderr(err.try_clone().expect("a second handle"))
        .spawn()
        .expect("countersign starts");
    let status =
        end(&mut child).unwrap_or_else(|| panic!("`{}` does not end", arguments.join(" ")));
    Said { code: status.code().unwrap_or(-1), out: all(&mut out), err: all(&mut err) }
}

/// Waits for the end; kills what does not come to one.
fn end(child: &mut Child) -> Option<ExitStatus> {
    let glance = Duration::from_millis(10);
    let mut patience = wait::PATIENCE;
    while let Some(left) = patience.checked_sub(glance) {
        patience = left;
        if let Some(status) = child.try_wait().expect("the state of a child") {
            return Some(status);
        }
        thread::sleep(glance);
    }
    child.kill().expect("a child can be killed");
    None
}

fn all(file: &mut File) -> String {
    let mut text = String::new();
    file.rewind().expect("a file");
    file.read_to_string(&mut text).expect("text");
    text
}

/// A process that is killed when the test forgets it.
#[derive(Debug)]
pub struct Running {
    child: Child,
    log: PathBuf,
}

impl Running {
    /// Starts it; both its outputs are appended to `log`.
    #[must_use]
    pub fn start(command: &mut Command, log: &Path) -> Self {
        let open = || File::options().create(true).append(true).open(log).expect("a log file");
        let child = command
            .stdin(Stdio::null())
            .stdout(open())
            .stderr(open())
            .spawn()
            .unwrap_or_else(|error| panic!("cannot start {command:?}: {error}"));
        Self { child, log: log.to_path_buf() }
    }

    /// What the system calls it.
    #[must_use]
    pub fn id(&self) -> u32 {
        self.child.id()
    }

    /// What it has written so far.
    #[must_use]
    pub fn log(&self) -> String {
        let bytes = std::fs::read(&self.log).unwrap_or_default();
        String::from_utf8_lossy(&bytes).into_owned()
    }

    /// Its exit status, if it has ended.
    pub fn ended(&mut self) -> Option<ExitStatus> {
        self.child.try_wait().expect("the state of a child")
    }

    /// Ends it at once, as a power cut would: `SIGKILL`.
    pub fn kill9(&mut self) {
        self.child.kill().expect("a child can be killed");
        self.child.wait().expect("a killed child ends");
    }

    /// Asks it to end: `SIGTERM`.
    pub fn terminate(&self) {
        let id = self.child.id().to_string();
        let status = Command::new("kill").args(["-TERM", &id]).status().expect("kill runs");
        assert!(status.success(), "no process {id} to terminate");
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        let _ended_before = self.child.kill();
        let _reaped_before = self.child.wait();
        if std::thread::panicking() {
            eprintln!("---- {} ----\n{}", self.log.display(), self.log());
        }
    }
}

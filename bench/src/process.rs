//! Programs under measurement: started, waited for, and asked what they have used.

use std::{
    fs,
    net::{Ipv4Addr, SocketAddr, TcpListener},
    path::Path,
    process::{Child, Command, Stdio},
    time::{Duration, Instant},
};

/// How long a program may take to listen.
const PATIENCE: Duration = Duration::from_secs(60);

/// A running program, with its children. It ends with this value.
pub(crate) struct Process {
    name: String,
    child: Child,
}

impl Process {
    /// Starts a command. What it says lies in `NAME.log` of the folder.
    pub(crate) fn start(name: &str, command: &mut Command, folder: &Path) -> Self {
        let log = fs::File::create(folder.join(format!("{name}.log"))).unwrap();
        let child = command
            .stdin(Stdio::null())
            .stdout(log.try_clone().unwrap())
            .stderr(log)
            .spawn()
            .unwrap_or_else(|error| panic!("{name} does not start: {error}"));
        Self { name: name.into(), child }
    }

    /// Waits until it listens.
    pub(crate) fn listening_at(mut self, address: SocketAddr) -> Self {
        let started = Instant::now();
        while std::net::TcpStream::connect(address).is_err() {
            if let Some(status) = self.child.try_wait().unwrap() {
                panic!("{} ended before it listened: {status}", self.name);
            }
            assert!(started.elapsed() < PATIENCE, "{} does not listen", self.name);
            std::thread::sleep(Duration::from_millis(20));
        }
        self
    }

    /// Memory that is its own and in the machine's, its children's too, in bytes.
    pub(crate) fn memory(&self) -> u64 {
        family(self.child.id()).into_iter().map(memory_of).sum()
    }

    /// Time on the processor so far, its children's too.
    pub(crate) fn cpu(&self) -> Duration {
        family(self.child.id()).into_iter().map(cpu_of).sum()
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        for id in family(self.child.id()) {
            // one that has ended meanwhile needs no signal
            drop(
                Command::new("kill")
                    .arg("-KILL")
                    .arg(id.to_string())
                    .stderr(Stdio::null())
                    .status(),
            );
        }
        drop(self.child.wait());
    }
}

/// A process and all that came from it.
fn family(id: u32) -> Vec<u32> {
    let mut all = vec![id];
    let children = fs::read_to_string(format!("/proc/{id}/task/{id}/children")).unwrap_or_default();
    for child in children.split_whitespace().filter_map(|id| id.parse().ok()) {
        all.extend(family(child));
    }
    all
}

/// By the scheduler's own count, in nanoseconds: ticks of ten milliseconds are too coarse here.
fn cpu_of(id: u32) -> Duration {
    let Ok(tasks) = fs::read_dir(format!("/proc/{id}/task")) else { return Duration::ZERO };
    let of_task = |task: fs::DirEntry| -> Option<u64> {
        let text = fs::read_to_string(task.path().join("schedstat")).ok()?;
        text.split_whitespace().next()?.parse().ok()
    };
    Duration::from_nanos(tasks.flatten().filter_map(of_task).sum())
}

/// Without the files that it has mapped: they are the kernel's to keep or drop.
fn memory_of(id: u32) -> u64 {
    let text = fs::read_to_string(format!("/proc/{id}/status")).unwrap_or_default();
    let line = text.lines().find_map(|line| line.strip_prefix("RssAnon:"));
    let kib = line.and_then(|rest| rest.split_whitespace().next()?.parse::<u64>().ok());
    kib.unwrap_or(0) * 1024
}

/// How many files each program here may have open.
pub(crate) fn files_max() -> u64 {
    let text = fs::read_to_string("/proc/self/limits").unwrap();
    let line = text.lines().find_map(|line| line.strip_prefix("Max open files"));
    let soft = line.and_then(|rest| rest.split_whitespace().next()?.parse().ok());
    soft.unwrap_or(u64::MAX)
}

/// A port of this machine that nobody listens on.
pub(crate) fn free_address() -> SocketAddr {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    listener.local_addr().unwrap()
}

/// How much of the machine others use, from 0 to 1, over two seconds in which we do nothing.
pub(crate) fn busy() -> f64 {
    let (before, all_before) = ticks();
    std::thread::sleep(Duration::from_secs(2));
    let (after, all_after) = ticks();
    let all = (all_after - all_before).max(1) as f64;
    1.0 - (after - before) as f64 / all
}

/// Idle ticks and all ticks of all cores.
fn ticks() -> (u64, u64) {
    let text = fs::read_to_string("/proc/stat").unwrap();
    let first = text.lines().next().unwrap_or_default();
    let ticks: Vec<u64> = first.split_whitespace().skip(1).filter_map(|n| n.parse().ok()).collect();
    let idle = ticks.get(3).copied().unwrap_or(0) + ticks.get(4).copied().unwrap_or(0);
    (idle, ticks.iter().take(8).sum())
}

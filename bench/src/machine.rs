//! The machine around a run: who listens on a port, how loaded it is, and for how long somebody had to wait.

use std::fs;
use std::net::SocketAddr;
use std::path::Path;

use serde::Serialize;

/// How loaded the machine is at one moment.
#[derive(Debug, Clone, Copy, Default)]
pub struct Load {
    /// The load average of the last minute.
    pub average: f64,
    /// Microseconds for which at least one task waited for a CPU, since the machine started.
    cpu_waited_us: Option<u64>,
    /// The same for storage.
    io_waited_us: Option<u64>,
}

/// How loaded the machine was between two moments.
#[derive(Debug, Clone, Copy, Serialize)]
pub struct Pressure {
    /// CPUs of the machine that this process may use.
    pub cpus: usize,
    /// The load average of the last minute, before the run.
    pub load_before: f64,
    /// The load average of the last minute, after the run.
    pub load_after: f64,
    /// The share of the time in which somebody waited for a CPU (pressure stall information); null without it.
    pub cpu_pressure: Option<f64>,
    /// The share of the time in which somebody waited for storage.
    pub io_pressure: Option<f64>,
}

impl Load {
    /// How it is now. What the kernel does not tell is left out.
    pub fn now() -> Self {
        let average = fs::read_to_string("/proc/loadavg").unwrap_or_default();
        let average = average.split(' ').next().and_then(|first| first.parse().ok());
        let waited = |what: &str| {
            let text = fs::read_to_string(format!("/proc/pressure/{what}")).ok()?;
            waited_us(&text)
        };
        Self {
            average: average.unwrap_or(0.0),
            cpu_waited_us: waited("cpu"),
            io_waited_us: waited("io"),
        }
    }

    /// How it was from `self` to `later`, `seconds` after it.
    pub fn until(&self, later: &Self, seconds: f64) -> Pressure {
        let share = |before: Option<u64>, after: Option<u64>| {
            let waited = after?.saturating_sub(before?) as f64 / 1e6;
            Some((waited / seconds.max(1e-9)).min(1.0))
        };
        Pressure {
            cpus: runtime::cpu_count(),
            load_before: self.average,
            load_after: later.average,
            cpu_pressure: share(self.cpu_waited_us, later.cpu_waited_us),
            io_pressure: share(self.io_waited_us, later.io_waited_us),
        }
    }
}

/// The total of the line that begins with `some`.
fn waited_us(pressure: &str) -> Option<u64> {
    let line = pressure.lines().find(|line| line.starts_with("some "))?;
    line.rsplit_once("total=")?.1.parse().ok()
}

/// The process that listens on this machine at `addr`'s port, if it is ours to see.
pub fn listener(addr: SocketAddr) -> Option<u32> {
    let inodes: Vec<String> = ["/proc/net/tcp", "/proc/net/tcp6"]
        .iter()
        .flat_map(|path| {
            let table = fs::read_to_string(path).unwrap_or_default();
            listening_inodes(&table, addr.port())
        })
        .map(|inode| format!("socket:[{inode}]"))
        .collect();
    if inodes.is_empty() {
        return None;
    }
    let pids = fs::read_dir("/proc").ok()?.flatten();
    let mut pids = pids.filter_map(|entry| entry.file_name().to_str()?.parse::<u32>().ok());
    pids.find(|pid| holds_one(&Path::new("/proc").join(pid.to_string()).join("fd"), &inodes))
}

fn holds_one(descriptors: &Path, inodes: &[String]) -> bool {
    let Ok(descriptors) = fs::read_dir(descriptors) else { return false };
    descriptors.flatten().any(|descriptor| {
        let target = fs::read_link(descriptor.path()).unwrap_or_default();
        target.to_str().is_some_and(|target| inodes.iter().any(|inode| inode == target))
    })
}

/// The inodes of sockets in state LISTEN (0A) at `port`, in a table as `/proc/net/tcp` has it.
fn listening_inodes(table: &str, port: u16) -> Vec<u64> {
    let suffix = format!(":{port:04X}");
    let lines = table.lines().skip(1).filter_map(|line| {
        let fields: Vec<&str> = line.split_ascii_whitespace().collect();
        let listens = fields.get(1)?.ends_with(&suffix) && *fields.get(3)? == "0A";
        listens.then(|| fields.get(9)?.parse().ok()).flatten()
    });
    lines.collect()
}

#[cfg(test)]
mod tests {
    use std::net::TcpListener;

    use super::*;

    #[test]
    fn the_total_of_a_pressure_file_is_read() {
        let text = "some avg10=1.5 avg60=0.2 avg300=0.0 total=123456\nfull avg10=0.0 avg60=0.0 avg300=0.0 total=7\n";
        assert_eq!(waited_us(text), Some(123_456));
        assert_eq!(waited_us(""), None);
    }

    #[test]
    fn a_share_is_what_was_waited_over_the_time() {
        let load = |average, us| Load { average, cpu_waited_us: Some(us), io_waited_us: None };
        let pressure = load(1.0, 1_000_000).until(&load(2.0, 1_500_000), 2.0);
        assert_eq!((pressure.load_before, pressure.load_after), (1.0, 2.0));
        assert_eq!((pressure.cpu_pressure, pressure.io_pressure), (Some(0.25), None));
    }

    #[test]
    fn a_listener_is_found_by_its_port() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let addr = listener.local_addr().unwrap();
        assert_eq!(super::listener(addr), Some(std::process::id()));
        drop(listener);
        assert_eq!(super::listener(addr), None);
    }
}

//! What a process has used, as the operating system counts it.
//!
//! Read from `/proc/<pid>/{stat,io,status}`: a broker's own figures are not trusted for this.

use std::fs;
use std::io;

/// Clock ticks per second in `/proc/<pid>/stat`; fixed by the kernel's interface to user space.
const TICKS_PER_SECOND: f64 = 100.0;

/// A process's counters at one moment.
#[derive(Debug, Clone, Copy, Default, PartialEq, serde::Serialize)]
pub struct Usage {
    /// CPU seconds in user space.
    pub user_seconds: f64,
    /// CPU seconds in the kernel.
    pub system_seconds: f64,
    /// Bytes written to storage, direct writes included.
    pub written_bytes: u64,
    /// Bytes read from storage.
    pub read_bytes: u64,
    /// Largest resident memory so far, in bytes.
    pub peak_resident_bytes: u64,
    /// Resident memory now, in bytes.
    pub resident_bytes: u64,
    /// Times the process gave up the CPU to wait.
    pub voluntary_switches: u64,
    /// Times the CPU was taken from it.
    pub involuntary_switches: u64,
    /// Seconds that threads were ready to run and had no CPU.
    pub queued_seconds: f64,
}

impl Usage {
    /// Reads the counters of process `pid`.
    ///
    /// # Errors
    /// There is no such process, or it is not ours to look at.
    pub fn of(pid: u32) -> io::Result<Self> {
        let mut usage = Self::default();
        let stat = fs::read_to_string(format!("/proc/{pid}/stat"))?;
        let (user, system) = cpu_ticks(&stat)
            .ok_or_else(|| io::Error::new(io::ErrorKind::InvalidData, "/proc/<pid>/stat"))?;
        usage.user_seconds = user as f64 / TICKS_PER_SECOND;
        usage.system_seconds = system as f64 / TICKS_PER_SECOND;

        let io_text = fs::read_to_string(format!("/proc/{pid}/io"))?;
        usage.written_bytes = field(&io_text, "write_bytes:").unwrap_or(0);
        usage.read_bytes = field(&io_text, "read_bytes:").unwrap_or(0);

        // The first thread's switches stand in `status`; the others' in their own files.
        let status = fs::read_to_string(format!("/proc/{pid}/status"))?;
        usage.peak_resident_bytes = field(&status, "VmHWM:").unwrap_or(0) * 1024;
        usage.resident_bytes = field(&status, "VmRSS:").unwrap_or(0) * 1024;
        for thread in fs::read_dir(format!("/proc/{pid}/task"))?.flatten() {
            // A thread may end between the listing and the look.
            let Ok(status) = fs::read_to_string(thread.path().join("status")) else { continue };
            usage.voluntary_switches += field(&status, "voluntary_ctxt_switches:").unwrap_or(0);
            usage.involuntary_switches +=
                field(&status, "nonvoluntary_ctxt_switches:").unwrap_or(0);
            let stat = fs::read_to_string(thread.path().join("schedstat")).unwrap_or_default();
            usage.queued_seconds += queued_nanos(&stat).unwrap_or(0) as f64 / 1e9;
        }
        Ok(usage)
    }

    /// CPU seconds, user and kernel together.
    pub fn cpu_seconds(&self) -> f64 {
        self.user_seconds + self.system_seconds
    }

    /// What was used between `earlier` and now; memory figures stay as they are now.
    #[must_use]
    pub fn since(&self, earlier: &Self) -> Self {
        Self {
            user_seconds: self.user_seconds - earlier.user_seconds,
            system_seconds: self.system_seconds - earlier.system_seconds,
            written_bytes: self.written_bytes.saturating_sub(earlier.written_bytes),
            read_bytes: self.read_bytes.saturating_sub(earlier.read_bytes),
            voluntary_switches: self.voluntary_switches.saturating_sub(earlier.voluntary_switches),
            involuntary_switches: self
                .involuntary_switches
                .saturating_sub(earlier.involuntary_switches),
            queued_seconds: (self.queued_seconds - earlier.queued_seconds).max(0.0),
            ..*self
        }
    }
}

/// User and system ticks, fields 14 and 15. The second field, the name, may hold spaces and
/// brackets, so counting begins behind the last bracket.
fn cpu_ticks(stat: &str) -> Option<(u64, u64)> {
    let (_, rest) = stat.rsplit_once(')')?;
    let mut fields = rest.split_ascii_whitespace().skip(11);
    Some((fields.next()?.parse().ok()?, fields.next()?.parse().ok()?))
}

/// The second figure of a thread's `schedstat`: nanoseconds on the run queue.
fn queued_nanos(schedstat: &str) -> Option<u64> {
    schedstat.split_ascii_whitespace().nth(1)?.parse().ok()
}

/// The number behind a label at the start of a line.
fn field(text: &str, label: &str) -> Option<u64> {
    let line = text.lines().find_map(|line| line.strip_prefix(label))?;
    line.split_ascii_whitespace().next()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_with_brackets_does_not_shift_the_fields() {
        let stat = "7 (a) b) S 1 1 1 0 -1 4194304 10 0 0 0 123 45 0 0 20 0 1 0 1 1 1";
        assert_eq!(cpu_ticks(stat), Some((123, 45)));
    }

    #[test]
    fn labels_match_whole_lines_only() {
        let io = "rchar: 1\nwrite_bytes: 42\ncancelled_write_bytes: 7\n";
        assert_eq!(field(io, "write_bytes:"), Some(42));
        assert_eq!(field(io, "nothing:"), None);
    }

    #[test]
    fn a_known_burn_is_counted() {
        let before = Usage::of(std::process::id()).unwrap();
        let mut sum = 0u64;
        // Until 0.3 CPU seconds are used by this process, however long that takes.
        loop {
            for step in 0..1_000_000u64 {
                sum = std::hint::black_box(sum.wrapping_add(step * step));
            }
            let used = Usage::of(std::process::id()).unwrap().since(&before);
            if used.cpu_seconds() >= 0.3 {
                assert!(used.user_seconds > 0.0, "{used:?} {sum}");
                break;
            }
        }
    }
}

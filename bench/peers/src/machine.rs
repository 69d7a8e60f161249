//! What the whole machine did meanwhile: pressure, and CPU that no process of ours used.

use std::fs;
use std::io;
use std::time::Instant;

use bench::machine::Load;

/// The machine's counters at one moment.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Machine {
    at: Instant,
    load: Load,
    /// Ticks in which a CPU was busy, and in which it was taken from this virtual machine.
    busy: u64,
    stolen: u64,
    /// Ticks of the kernel's own workers: they write the page cache back, for whoever filled it.
    workers: u64,
}

/// What happened between two moments.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Spell {
    pub(crate) seconds: f64,
    /// The load average over a minute, in the end.
    pub(crate) load: f64,
    /// Percent of the time in which somebody waited for a CPU; 0 where the kernel does not tell.
    pub(crate) pressure: f64,
    /// CPU seconds.
    pub(crate) busy: f64,
    pub(crate) stolen: f64,
    pub(crate) workers: f64,
}

const TICKS_PER_SECOND: f64 = 100.0;

impl Machine {
    /// Reads the counters.
    ///
    /// # Errors
    /// `/proc` is not there.
    pub(crate) fn now() -> io::Result<Self> {
        let (busy, stolen) = busy(&fs::read_to_string("/proc/stat")?);
        Ok(Self { at: Instant::now(), load: Load::now(), busy, stolen, workers: workers()? })
    }

    pub(crate) fn since(&self, earlier: &Self) -> Spell {
        let seconds = self.at.duration_since(earlier.at).as_secs_f64();
        let ticks = |now: u64, then: u64| now.saturating_sub(then) as f64 / TICKS_PER_SECOND;
        let pressure = earlier.load.until(&self.load, seconds);
        Spell {
            seconds,
            load: pressure.load_after,
            pressure: 100.0 * pressure.cpu_pressure.unwrap_or(0.0),
            busy: ticks(self.busy, earlier.busy),
            stolen: ticks(self.stolen, earlier.stolen),
            workers: ticks(self.workers, earlier.workers),
        }
    }
}

/// Busy and stolen ticks of all CPUs together: `cpu user nice system idle iowait irq softirq steal`.
fn busy(stat: &str) -> (u64, u64) {
    let line = stat.lines().next().unwrap_or_default();
    let fields: Vec<u64> =
        line.split_ascii_whitespace().skip(1).filter_map(|field| field.parse().ok()).collect();
    let field = |index: usize| fields.get(index).copied().unwrap_or(0);
    (field(0) + field(1) + field(2) + field(5) + field(6), field(7))
}

fn workers() -> io::Result<u64> {
    let mut ticks = 0;
    for entry in fs::read_dir("/proc")?.flatten() {
        // Processes come and go.
        let Ok(stat) = fs::read_to_string(entry.path().join("stat")) else { continue };
        ticks += worker_ticks(&stat);
    }
    Ok(ticks)
}

fn worker_ticks(stat: &str) -> u64 {
    if !stat.contains(" (kworker/") {
        return 0;
    }
    let Some((_, rest)) = stat.rsplit_once(')') else { return 0 };
    let fields = rest.split_ascii_whitespace().skip(11).take(2);
    fields.filter_map(|field| field.parse::<u64>().ok()).sum()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_kernels_lines_are_read() {
        assert_eq!(busy("cpu  10 1 20 999 7 3 4 5 0 0\ncpu0 1 1 1 1\n"), (38, 5));
        assert_eq!(
            worker_ticks("9 (kworker/u4:1-flush-254:0) I 2 0 0 0 -1 1 0 0 0 0 3 40 0 0"),
            43
        );
        assert_eq!(worker_ticks("9 (java) S 2 0 0 0 -1 1 0 0 0 0 3 40 0 0"), 0);
    }

    #[test]
    fn a_burn_beside_us_is_seen() {
        let before = Machine::now().unwrap();
        let ours = bench::process::Usage::of(std::process::id()).unwrap();
        let mut sum = 0_u64;
        let used = loop {
            for step in 0..1_000_000_u64 {
                sum = std::hint::black_box(sum.wrapping_add(step * step));
            }
            let used = bench::process::Usage::of(std::process::id()).unwrap().since(&ours);
            if used.cpu_seconds() >= 0.5 {
                break used.cpu_seconds();
            }
        };
        let spell = Machine::now().unwrap().since(&before);
        assert!(spell.busy >= used - 0.05, "{spell:?} {used} {sum}");
        assert!(spell.seconds > 0.0 && spell.pressure >= 0.0, "{spell:?}");
    }
}

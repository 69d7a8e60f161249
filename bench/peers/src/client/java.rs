//! A second opinion: Kafka's own `kafka-producer-perf-test`, fed from a file, since without one it draws
//! every byte of every record from a random generator and measures that.

use std::fs;
use std::io::Write as _;
use std::process::{Command, Stdio};

use super::payload::Random;
use super::{JavaJob, Outcome};
use crate::PeersError;

/// Different records in the file; the tool chooses among them.
const LINES: usize = 2_000;
const TICKS_PER_SECOND: f64 = 100.0;

pub(crate) fn run(job: &JavaJob) -> Result<Outcome, PeersError> {
    write_lines(job)?;
    let mut command = Command::new("java");
    // As Kafka's script starts it.
    command.args(["-Xmx512m", "-XX:+UseG1GC", "-XX:MaxGCPauseMillis=20", "-cp", &job.class_path]);
    command.arg("org.apache.kafka.tools.ProducerPerformance");
    command.args(["--topic", &job.target.topic, "--throughput", "-1", "--payload-file"]);
    command.arg(&job.lines).args(["--num-records", &job.records.to_string()]);
    command.arg("--producer-props").arg(format!("bootstrap.servers={}", job.target.bootstrap));
    for (name, value) in &job.settings {
        command.arg(format!("{name}={value}"));
    }
    let output = command.stdin(Stdio::null()).output()?;
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    let rate = rate(&text).filter(|_| output.status.success()).ok_or_else(|| {
        let error = String::from_utf8_lossy(&output.stderr).into_owned();
        PeersError::Client(format!("kafka-producer-perf-test: {text}{error}"))
    })?;
    let mut outcome = Outcome::default();
    let records = job.records as f64;
    outcome.set("seconds", records / rate);
    outcome.set("records", records);
    outcome.set("bytes", records * job.record_bytes as f64);
    outcome.set("children_cpu_s", children_seconds(&fs::read_to_string("/proc/self/stat")?));
    Ok(outcome)
}

/// Lines of noise that holds no line end.
fn write_lines(job: &JavaJob) -> Result<(), PeersError> {
    let mut random = Random(0x2545_f491_4f6c_dd1d);
    let mut text = Vec::with_capacity(LINES * (job.record_bytes + 1));
    for _ in 0..LINES {
        text.extend((0..job.record_bytes).map(|_| b' ' + random.below(94) as u8));
        text.push(b'\n');
    }
    fs::File::create(&job.lines)?.write_all(&text)?;
    Ok(())
}

/// `5000000 records sent, 123456.7 records/sec (120.56 MB/sec), ..`; the last such line is of the whole
/// run.
fn rate(text: &str) -> Option<f64> {
    let line = text.lines().rfind(|line| line.contains("99.9th"))?;
    let (before, _) = line.split_once(" records/sec")?;
    before.rsplit(' ').next()?.replace(',', "").parse().ok()
}

/// CPU of children that have ended: fields 16 and 17 of `/proc/self/stat`.
fn children_seconds(stat: &str) -> f64 {
    let rest = stat.rsplit_once(')').map_or("", |(_, rest)| rest);
    let fields = rest.split_ascii_whitespace().skip(13).take(2);
    fields.filter_map(|field| field.parse::<f64>().ok()).sum::<f64>() / TICKS_PER_SECOND
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_tools_last_line_is_read() {
        let text = "100 records sent, 20.0 records/sec (0.02 MB/sec), 1.0 ms avg latency.\n\
            5000000 records sent, 123456.7 records/sec (120.56 MB/sec), 3.21 ms avg latency, \
            90.00 ms max latency, 2 ms 50th, 9 ms 95th, 20 ms 99th, 60 ms 99.9th.\n";
        assert_eq!(rate(text), Some(123_456.7));
        assert_eq!(rate("Exception in thread main"), None);
    }

    #[test]
    fn childrens_ticks_are_behind_ones_own() {
        let stat = "7 (a b) S 1 1 1 0 -1 4194304 10 0 0 0 123 45 150 50 20 0 1 0 1 1 1";
        assert!((children_seconds(stat) - 2.0).abs() < 1e-9);
    }
}

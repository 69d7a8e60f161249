//! Latencies second by second, for the tools that read HdrHistogram's logs.

use std::io::{self, Write};
use std::time::Duration;

use hdrhistogram::Histogram;
use hdrhistogram::serialization::V2DeflateSerializer;
use hdrhistogram::serialization::interval_log::{IntervalLogWriterBuilder, Tag};

/// A log in HdrHistogram's own format (V2, compressed), an interval a second and kind of latency, which is its tag.
/// All values are in nanoseconds.
pub struct HdrLog {
    out: Box<dyn Write>,
    serializer: V2DeflateSerializer,
}

impl std::fmt::Debug for HdrLog {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("HdrLog")
    }
}

impl HdrLog {
    /// A log that has not begun.
    pub fn new(out: Box<dyn Write>) -> Self {
        Self { out, serializer: V2DeflateSerializer::new() }
    }

    /// Begins it at the moment from which intervals count, in milliseconds since 1970.
    pub(crate) fn begin(&mut self, started_ms: i64) -> io::Result<()> {
        let (out, started) = (&mut self.out, started_ms as f64 / 1e3);
        writeln!(out, "#[Logged with corelog bench {}]", env!("CARGO_PKG_VERSION"))?;
        writeln!(out, "#[Histogram log format version 1.3]")?;
        writeln!(out, "#[BaseTime: {started:.3} (seconds since epoch)]")?;
        writeln!(out, "#[StartTime: {started:.3} (seconds since epoch)]")?;
        let columns = ["StartTimestamp", "Interval_Length", "Interval_Max"];
        writeln!(out, "\"{}\",\"Interval_Compressed_Histogram\"", columns.join("\",\""))
    }

    /// Writes what came in `span` from `at` on.
    pub(crate) fn write(
        &mut self,
        name: &'static str,
        latency: &Histogram<u64>,
        (at, span): (Duration, Duration),
    ) -> io::Result<()> {
        if latency.is_empty() {
            return Ok(());
        }
        let mut writer =
            IntervalLogWriterBuilder::new().begin_log_with(&mut self.out, &mut self.serializer)?;
        writer
            .write_histogram(latency, at, span, Tag::new(name))
            .map_err(|error| io::Error::other(error.to_string()))?;
        self.out.flush()
    }
}

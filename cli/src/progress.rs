//! How far a long command is, on standard error and only for a person: nothing is shown when it is not a terminal.

use std::io::IsTerminal;
use std::time::Duration;

use indicatif::{ProgressBar, ProgressStyle};

use crate::size::human_bytes;

/// A line that counts.
pub(crate) struct Progress {
    bar: ProgressBar,
}

impl Progress {
    /// Counts records and bytes, without knowing how many there will be.
    pub(crate) fn records(verb: &str, shown: bool) -> Self {
        let template = format!("{{spinner}} {verb}: {{msg}}  [{{elapsed}}]");
        Self::spinner(&template, shown)
    }

    /// Counts towards `total` bytes.
    pub(crate) fn bytes(verb: &str, total: u64) -> Self {
        if !std::io::stderr().is_terminal() {
            return Self { bar: ProgressBar::hidden() };
        }
        let template =
            format!("{verb} {{bar:40}} {{bytes}}/{{total_bytes}} {{bytes_per_sec}} {{msg}}");
        let style = ProgressStyle::with_template(&template).expect("the template is fixed");
        Self { bar: ProgressBar::new(total).with_style(style) }
    }

    fn spinner(template: &str, shown: bool) -> Self {
        if !shown || !std::io::stderr().is_terminal() {
            return Self { bar: ProgressBar::hidden() };
        }
        let style = ProgressStyle::with_template(template).expect("the template is fixed");
        Self { bar: ProgressBar::new_spinner().with_style(style) }
    }

    /// Shows how many records and bytes there were so far.
    pub(crate) fn set(&self, records: u64, bytes: u64) {
        if !self.bar.is_hidden() {
            self.bar.set_message(format!("{records} records, {}", human_bytes(bytes)));
            self.bar.tick();
        }
    }

    /// Moves towards the total.
    pub(crate) fn advance(&self, bytes: u64) {
        self.bar.inc(bytes);
    }

    /// Takes the line away.
    pub(crate) fn clear(&self) {
        self.bar.finish_and_clear();
    }

    /// Takes the line away and says what was done, in one line on standard error.
    pub(crate) fn finish(&self, verb: &str, (records, bytes): (u64, u64), took: Duration) {
        self.bar.finish_and_clear();
        let seconds = took.as_secs_f64().max(0.001);
        let rate = |amount: u64| amount as f64 / seconds;
        eprintln!(
            "{verb} {records} records, {} in {seconds:.2} s ({:.0} records/s, {}/s)",
            human_bytes(bytes),
            rate(records),
            human_bytes(rate(bytes) as u64),
        );
    }
}

//! From runs to results, and from results to the table.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use crate::PeersError;
use crate::plan::{Against, Figure, Workload};
use crate::row::{ResultRow, Row, RunRow, Setting};
use crate::stats::{self, Summary, Verdict};
use crate::system::System;

/// Between these lines of a page stands the table.
const BEGIN: &str = "<!-- side-by-side: begin -->";
const END: &str = "<!-- side-by-side: end -->";

/// From this share of the box on, a rate is the client's rather than the broker's.
const CLIENT_BOUND: f64 = 0.45;

/// The pairs whose two halves met the same quiet machine.
pub(crate) fn kept_pairs(runs: &[RunRow]) -> Vec<usize> {
    pairs(runs)
        .filter(|(_, ours, theirs)| {
            let pressure = |run: &RunRow| run.figures.get("pressure").copied().unwrap_or(0.0);
            stats::discard(pressure(ours), pressure(theirs)).is_none()
        })
        .map(|(pair, _, _)| pair)
        .collect()
}

/// Every pair that has both halves.
fn pairs(runs: &[RunRow]) -> impl Iterator<Item = (usize, &RunRow, &RunRow)> {
    let of = |pair, system| runs.iter().find(move |run| run.pair == pair && run.system == system);
    let count = runs.iter().map(|run| run.pair + 1).max().unwrap_or(0);
    (0..count)
        .filter_map(move |pair| Some((pair, of(pair, System::Corelog)?, of(pair, System::Kafka)?)))
}

/// The result of every figure of a workload that its runs tell of.
pub(crate) fn results(workload: &Workload, runs: &[RunRow], keep_noisy: bool) -> Vec<ResultRow> {
    let all: Vec<usize> = pairs(runs).map(|(pair, _, _)| pair).collect();
    let mut kept = kept_pairs(runs);
    let discarded = all.len() - kept.len();
    // Nothing but noise: better told and marked than withheld.
    let noisy = discarded > 0 && (keep_noisy || kept.is_empty());
    if noisy {
        kept = all;
    }
    let judged: Vec<&RunRow> = runs.iter().filter(|run| kept.contains(&run.pair)).collect();
    workload
        .figures
        .iter()
        .filter_map(|figure| {
            let mut result = result(workload, figure, &judged)?;
            result.discarded = discarded;
            result.noisy = noisy;
            Some(result)
        })
        .collect()
}

fn result(workload: &Workload, figure: &Figure, runs: &[&RunRow]) -> Option<ResultRow> {
    let other = match figure.against {
        Against::Floor => System::Floor,
        Against::Kafka | Against::Nothing => System::Kafka,
    };
    let ours = values(runs, System::Corelog, figure.key);
    let theirs = values(runs, other, figure.key);
    let judged: Vec<f64> = match figure.against {
        Against::Nothing => ours.values().copied().collect(),
        Against::Kafka | Against::Floor => {
            ours.iter().filter_map(|(pair, ours)| Some(ours / theirs.get(pair)?)).collect()
        }
    };
    let summary = Summary::of(&judged)?;
    let verdict =
        figure.limit.map_or("", |limit| Verdict::of(&summary, limit, figure.more_is_better).word());
    let middle = |system, key| Some(Summary::of(&list(runs, system, key))?.median);
    Some(ResultRow {
        number: workload.number,
        workload: workload.name.into(),
        figure: figure.text.into(),
        against: figure.against,
        ours: middle(System::Corelog, figure.key)?,
        theirs: middle(other, figure.key),
        summary,
        control: (figure.against != Against::Nothing)
            .then(|| Summary::of(&neighbours(runs, figure.key)))
            .flatten(),
        discarded: 0,
        noisy: false,
        limit: figure.limit,
        stretch: figure.stretch,
        more_is_better: figure.more_is_better,
        verdict: verdict.into(),
        durability: workload.durability().into(),
        load: middle(System::Corelog, "load").unwrap_or(0.0),
        client_share: middle(System::Corelog, "client_share").unwrap_or(0.0),
        written: middle(System::Corelog, "written_per_byte").unwrap_or(0.0),
        theirs_written: middle(other, "written_per_byte"),
    })
}

/// A figure of every run of a system, by pair.
fn values(runs: &[&RunRow], system: System, key: &str) -> BTreeMap<usize, f64> {
    runs.iter()
        .filter(|run| run.system == system)
        .filter_map(|run| Some((run.pair, *run.figures.get(key)?)))
        .collect()
}

fn list(runs: &[&RunRow], system: System, key: &str) -> Vec<f64> {
    values(runs, system, key).into_values().collect()
}

/// Ratios of runs of the same system right after each other: A B B A has one in its middle.
fn neighbours(runs: &[&RunRow], key: &str) -> Vec<f64> {
    let ratio = |pair: &[&RunRow]| {
        let [first, second] = pair else { return None };
        if first.system != second.system || first.turn + 1 != second.turn {
            return None;
        }
        Some(second.figures.get(key)? / first.figures.get(key)?)
    };
    runs.windows(2).filter_map(ratio).collect()
}

/// The whole table, in Markdown.
pub(crate) fn table(rows: &[Row]) -> String {
    let mut text = String::new();
    for row in rows {
        if let Row::Setting(setting) = row {
            text.push_str(&heading(setting));
        }
    }
    text.push_str(
        "| # | workload | figure | Corelog | other side | ratio (interval) | pairs | A/A | at most \
         / least | verdict | client CPU | written per byte | load | acknowledged when |\n\
         |---|---|---|---|---|---|---|---|---|---|---|---|---|---|\n",
    );
    for row in rows {
        match row {
            Row::Result(result) => text.push_str(&result_line(result)),
            Row::Failure { workload, why } => {
                text.push_str(&format!("| | {workload} | failed: {} ", why.replace('|', "/")));
                text.push_str(&"| ".repeat(11));
                text.push_str("|\n");
            }
            Row::Setting(_) | Row::Run(_) => {}
        }
    }
    let verdicts: Vec<&str> = rows
        .iter()
        .filter_map(|row| match row {
            Row::Result(result) if result.limit.is_some() => Some(result.verdict.as_str()),
            _ => None,
        })
        .collect();
    let count = |word: &str| verdicts.iter().filter(|verdict| **verdict == word).count();
    let words = [Verdict::Met, Verdict::Barely, Verdict::Missed].map(Verdict::word);
    let counts = words.map(|word| format!("{} {word}", count(word)));
    text.push_str(&format!("\n{} targets: {}.\n", verdicts.len(), counts.join(", ")));
    text
}

fn heading(setting: &Setting) -> String {
    let pinned = if setting.pinned {
        "Broker on one CPU, client on another (12 and 14: all on all CPUs)"
    } else {
        "Brokers and client on all CPUs"
    };
    let scale = match setting.scale {
        1.0 => String::new(),
        scale => format!(", runs of {scale} times the usual length"),
    };
    format!(
        "{pinned}, {} mode{scale}; revision {}, Apache Kafka {} ({}), {} x {}, Linux {}.\n\n",
        setting.mode,
        setting.revision,
        setting.kafka,
        setting.java.join(" "),
        setting.cpus,
        setting.cpu,
        setting.kernel,
    )
}

fn result_line(result: &ResultRow) -> String {
    let summary = &result.summary;
    let against = match result.against {
        Against::Kafka => result.theirs.map(number),
        Against::Floor => result.theirs.map(|theirs| format!("{} floor", number(theirs))),
        Against::Nothing => None,
    };
    let interval = format!(
        "{} ({}..{}, {:.0} %)",
        number(summary.median),
        number(summary.low),
        number(summary.high),
        summary.coverage * 100.0
    );
    let control =
        result.control.map(|control| format!("{}..{}", number(control.low), number(control.high)));
    let limit = match (result.limit, result.stretch) {
        (Some(limit), Some(stretch)) => format!("{} ({})", number(limit), number(stretch)),
        (Some(limit), None) => number(limit),
        (None, _) => String::new(),
    };
    let mut verdict = vec![result.verdict.as_str()];
    if result.client_share >= CLIENT_BOUND && result.figure.ends_with("/s") {
        verdict.push("client-bound");
    }
    if result.noisy {
        verdict.push("noisy");
    }
    verdict.retain(|word| !word.is_empty());
    let verdict = verdict.join(", ");
    let discarded = match result.discarded {
        0 => String::new(),
        some => format!(" of {}", if result.noisy { summary.pairs } else { summary.pairs + some }),
    };
    let written = match result.theirs_written {
        Some(theirs) => format!("{} / {}", number(result.written), number(theirs)),
        None => number(result.written),
    };
    format!(
        "| {} | {} | {} | {} | {} | {interval} | {}{discarded} | {} | {limit} | {verdict} | {:.0} % | \
         {written} | {:.1} | {} |\n",
        result.number,
        result.workload,
        result.figure,
        number(result.ours),
        against.unwrap_or_default(),
        summary.pairs,
        control.unwrap_or_default(),
        result.client_share * 100.0,
        result.load,
        result.durability,
    )
}

/// Three significant digits.
pub(crate) fn number(value: f64) -> String {
    let size = value.abs();
    if size >= 100.0 {
        format!("{value:.0}")
    } else if size >= 10.0 {
        format!("{value:.1}")
    } else if size >= 1.0 {
        format!("{value:.2}")
    } else {
        format!("{value:.3}")
    }
}

/// Puts the table between the markers of a page.
pub(crate) fn write_into(page: &Path, table: &str) -> Result<(), PeersError> {
    let text = fs::read_to_string(page)?;
    fs::write(page, between_markers(&text, table)?)?;
    Ok(())
}

fn between_markers(text: &str, table: &str) -> Result<String, PeersError> {
    let missing = || PeersError::Plan(format!("the page has no {BEGIN} before {END}"));
    let (before, rest) = text.split_once(BEGIN).ok_or_else(missing)?;
    let (_, after) = rest.split_once(END).ok_or_else(missing)?;
    Ok(format!("{before}{BEGIN}\n{}\n{END}{after}", table.trim_end()))
}

#[cfg(test)]
mod tests;

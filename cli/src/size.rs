//! Amounts of bytes and spans of time as people write them: `64MiB`, `1g`, `500ms`, `7d`.

use std::str::FromStr;
use std::time::Duration;

/// An amount of bytes. Units are powers of 1024, with or without `iB` or `B`, in any case.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, serde::Deserialize)]
#[serde(try_from = "NumberOrText")]
pub(crate) struct Size(pub(crate) u64);

#[derive(serde::Deserialize)]
#[serde(untagged)]
enum NumberOrText {
    Number(u64),
    Text(String),
}

impl TryFrom<NumberOrText> for Size {
    type Error = String;

    fn try_from(value: NumberOrText) -> Result<Self, String> {
        match value {
            NumberOrText::Number(bytes) => Ok(Self(bytes)),
            NumberOrText::Text(text) => text.parse(),
        }
    }
}

impl FromStr for Size {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let (number, unit) = number_and_unit(text)
            .ok_or_else(|| format!("{text:?} is no size; write for example 64MiB"))?;
        let shift = match unit.to_ascii_lowercase().trim_end_matches("ib").trim_end_matches('b') {
            "" => 0,
            "k" => 10,
            "m" => 20,
            "g" => 30,
            "t" => 40,
            _ => return Err(format!("{unit:?} is no unit of size; use KiB, MiB, GiB or TiB")),
        };
        let bytes = number.checked_mul(1 << shift);
        bytes.map(Self).ok_or_else(|| format!("{text} is more than fits in 64 bits"))
    }
}

/// Reads a span of time; a bare number means milliseconds.
pub(crate) fn duration(text: &str) -> Result<Duration, String> {
    let (number, unit) = number_and_unit(text)
        .ok_or_else(|| format!("{text:?} is no span of time; write for example 500ms or 10m"))?;
    let milliseconds = match unit {
        "" | "ms" => 1,
        "s" => 1_000,
        "m" | "min" => 60_000,
        "h" => 3_600_000,
        "d" => 86_400_000,
        _ => return Err(format!("{unit:?} is no unit of time; use ms, s, m, h or d")),
    };
    let span = number.checked_mul(milliseconds).map(Duration::from_millis);
    span.ok_or_else(|| format!("{text} is more than fits in 64 bits"))
}

fn number_and_unit(text: &str) -> Option<(u64, &str)> {
    let text = text.trim();
    let end = text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len());
    let (number, unit) = text.split_at(end);
    Some((number.parse().ok()?, unit.trim()))
}

/// Writes an amount of bytes for people: three digits and a unit.
pub(crate) fn human_bytes(bytes: u64) -> String {
    let mut value = bytes as f64;
    for unit in ["B", "KiB", "MiB", "GiB"] {
        if value < 1024.0 {
            return if unit == "B" { format!("{bytes} B") } else { format!("{value:.1} {unit}") };
        }
        value /= 1024.0;
    }
    format!("{value:.1} TiB")
}

#[cfg(test)]
mod tests;

//! Points in time as people write them: `2026-03-01T12:00:00Z`, milliseconds since 1970, or how long ago.

use crate::size::duration;

#[cfg(test)]
mod tests;

/// A point in time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Moment {
    /// Milliseconds since 1970 UTC.
    At(i64),
    /// So many milliseconds before now.
    Ago(i64),
}

impl Moment {
    /// Milliseconds since 1970 UTC, if it is `now_ms`.
    pub(crate) fn at(self, now_ms: i64) -> i64 {
        match self {
            Self::At(at) => at,
            Self::Ago(ago) => now_ms.saturating_sub(ago),
        }
    }
}

impl std::str::FromStr for Moment {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        if let Ok(milliseconds) = text.parse() {
            return Ok(Self::At(milliseconds));
        }
        if let Some(at) = rfc_3339(text) {
            return Ok(Self::At(at));
        }
        let span = duration(text).ok().and_then(|span| i64::try_from(span.as_millis()).ok());
        span.map(Self::Ago).ok_or_else(|| {
            "write 2026-03-01T12:00:00Z, milliseconds since 1970, or how long ago: 10m, 2h, 3d"
                .to_owned()
        })
    }
}

/// `YYYY-MM-DD`, or `YYYY-MM-DDTHH:MM:SS[.fff]Z`: always UTC.
fn rfc_3339(text: &str) -> Option<i64> {
    let (date, time) = match text.split_once(['T', ' ']) {
        Some((date, time)) => (date, time.strip_suffix(['Z', 'z'])?),
        None => (text, "00:00:00"),
    };
    let mut date = date.splitn(3, '-').map(digits);
    let (year, month, day) = (date.next()??, date.next()??, date.next()??);
    let (clock, fraction) = time.split_once('.').unwrap_or((time, "0"));
    let mut clock = clock.splitn(3, ':').map(digits);
    let (hour, minute, second) = (clock.next()??, clock.next()??, clock.next()??);
    let in_range = (1..=12).contains(&month)
        && (1..=days_in(year, month)).contains(&day)
        && hour < 24
        && minute < 60
        && second < 60
        && (1970..10_000).contains(&year);
    if !in_range {
        return None;
    }
    digits(fraction)?;
    let thousandths: i64 = format!("{fraction:0<3}")[..3].parse().ok()?;
    let seconds = ((days_since_1970(year, month, day) * 24 + hour) * 60 + minute) * 60 + second;
    Some(seconds * 1_000 + thousandths)
}

/// A number of digits only, short enough for any field.
fn digits(text: &str) -> Option<i64> {
    let plain = !text.is_empty() && text.len() <= 9 && text.bytes().all(|b| b.is_ascii_digit());
    if plain { text.parse().ok() } else { None }
}

fn is_leap(year: i64) -> bool {
    year % 4 == 0 && (year % 100 != 0 || year % 400 == 0)
}

fn days_in(year: i64, month: i64) -> i64 {
    match month {
        2 if is_leap(year) => 29,
        2 => 28,
        4 | 6 | 9 | 11 => 30,
        _ => 31,
    }
}

fn days_since_1970(year: i64, month: i64, day: i64) -> i64 {
    let leaps = |year: i64| year / 4 - year / 100 + year / 400;
    let years = (year - 1970) * 365 + leaps(year - 1) - leaps(1969);
    let months: i64 = (1..month).map(|month| days_in(year, month)).sum();
    years + months + day - 1
}

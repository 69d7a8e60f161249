//! The file behind `--config` of the commands that talk to a cluster: TOML, flags win over it, and a key it does not
//! know is an error. The file of a broker is `broker::config::FileConfig`.

use std::path::Path;

use serde::Deserialize;

use crate::args::Protocol;
use crate::error::CliError;

#[cfg(test)]
mod tests;

/// How the tools reach a cluster.
///
/// ```toml
/// bootstrap = "broker-1:9092,broker-2:9092"
/// protocol = "kafka"
/// ```
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct Settings {
    /// As `--bootstrap`.
    pub(crate) bootstrap: Option<String>,
    /// As `--protocol`.
    pub(crate) protocol: Option<Protocol>,
}

impl Settings {
    /// Reads the file, or nothing at all if none is named.
    pub(crate) fn read(path: Option<&Path>) -> Result<Self, CliError> {
        let Some(path) = path else { return Ok(Self::default()) };
        let named = |what: String| CliError::Config { path: path.to_owned(), what };
        let text = std::fs::read_to_string(path).map_err(|error| named(error.to_string()))?;
        Self::parse(&text).map_err(named)
    }

    fn parse(text: &str) -> Result<Self, String> {
        toml::from_str(text).map_err(|error| in_one_line(&error, text))
    }
}

/// The library's own message spans lines with a drawing; a line number and what is wrong suffice.
pub(crate) fn in_one_line(error: &toml::de::Error, text: &str) -> String {
    let what = error.message().replace('\n', " ");
    match error.span().and_then(|span| text.get(..span.start)) {
        Some(before) => format!("line {}: {what}", before.matches('\n').count() + 1),
        None => what,
    }
}

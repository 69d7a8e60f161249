//! The file behind `--config`: TOML, flags win over it, and a key it does not know is an error.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use serde::Deserialize;

use crate::args::Protocol;
use crate::error::CliError;
use crate::size::Size;

#[cfg(test)]
mod tests;

/// Everything that can stand in the file.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct Settings {
    /// For the commands that talk to a cluster.
    pub(crate) client: ClientSettings,
    /// For `corelog dev`.
    pub(crate) dev: DevSettings,
    /// Defaults of every topic that does not set them itself, by Kafka's names, such as `retention.ms`.
    pub(crate) topic: BTreeMap<String, TopicDefault>,
}

/// How the tools reach a cluster.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct ClientSettings {
    /// As `--bootstrap`.
    pub(crate) bootstrap: Option<String>,
    /// As `--protocol`.
    pub(crate) protocol: Option<Protocol>,
}

/// The flags of `corelog dev`.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct DevSettings {
    /// As `--dir`.
    pub(crate) dir: Option<PathBuf>,
    /// As `--kafka`.
    pub(crate) kafka: Option<String>,
    /// As `--native`.
    pub(crate) native: Option<String>,
    /// As `--admin`.
    pub(crate) admin: Option<String>,
    /// As `--advertise`.
    pub(crate) advertise: Option<String>,
    /// As `--shards`.
    pub(crate) shards: Option<usize>,
    /// As `--memory`.
    pub(crate) memory: Option<Size>,
    /// As `--journal`.
    pub(crate) journal: Option<Size>,
}

/// A topic default may be written as a number, a switch or text; Kafka's own form is text.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(untagged)]
pub(crate) enum TopicDefault {
    /// `"retention.ms" = 86400000`
    Number(i64),
    /// `preallocate = true`
    Switch(bool),
    /// `"cleanup.policy" = "delete"`
    Text(String),
}

impl std::fmt::Display for TopicDefault {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Number(number) => number.fmt(f),
            Self::Switch(switch) => switch.fmt(f),
            Self::Text(text) => text.fmt(f),
        }
    }
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
        // The library's own message spans lines with a drawing; the first line that says what is wrong suffices.
        toml::from_str(text).map_err(|error| {
            let line = error.span().map(|span| text[..span.start].matches('\n').count() + 1);
            let what = error.message().replace('\n', " ");
            line.map_or_else(|| what.clone(), |line| format!("line {line}: {what}"))
        })
    }
}

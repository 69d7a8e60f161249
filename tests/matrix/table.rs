//! The table of the matrix, and its verdict.

use std::collections::BTreeMap;

use crate::client::{CODECS, Client};

/// How many failures are told in full.
const DETAILS: usize = 40;

/// One row's writer and codec, and one column's reader.
type Cell = (String, String, String);

/// What is known of every cell.
pub(crate) struct Table {
    clients: Vec<Client>,
    versions: BTreeMap<String, String>,
    wrote: BTreeMap<(String, String), Result<(), String>>,
    read: BTreeMap<Cell, Result<(), String>>,
    notes: Vec<(bool, String)>,
}

impl Table {
    pub(crate) fn new(clients: &[Client]) -> Self {
        Self {
            clients: clients.to_vec(),
            versions: BTreeMap::new(),
            wrote: BTreeMap::new(),
            read: BTreeMap::new(),
            notes: Vec::new(),
        }
    }

    pub(crate) fn version(&mut self, client: &str, version: &str) {
        if !version.is_empty() {
            self.versions.insert(client.into(), version.into());
        }
    }

    pub(crate) fn wrote(&mut self, writer: &str, codec: &str, answer: Result<(), String>) {
        self.wrote.insert((writer.into(), codec.into()), answer);
    }

    pub(crate) fn read(
        &mut self,
        writer: &str,
        codec: &str,
        reader: &str,
        answer: Result<(), String>,
    ) {
        self.read.insert((writer.into(), codec.into(), reader.into()), answer);
    }

    /// A finding outside the cells.
    pub(crate) fn note(&mut self, passed: bool, text: String) {
        self.notes.push((passed, text));
    }

    /// Whether every cell that could run passed, and, under `CI=true`, every client ran.
    pub(crate) fn passed(&self) -> bool {
        self.failed() == 0 && self.passes() > 0
    }

    fn passes(&self) -> usize {
        self.wrote.values().filter(|answer| answer.is_ok()).count()
            + self.read.values().filter(|answer| answer.is_ok()).count()
            + self.notes.iter().filter(|(passed, _)| *passed).count()
    }

    fn failed(&self) -> usize {
        let under_ci = std::env::var("CI").is_ok_and(|value| value == "true");
        let missing = self.clients.iter().filter(|client| !client.runs()).count();
        self.wrote.values().filter(|answer| answer.is_err()).count()
            + self.read.values().filter(|answer| answer.is_err()).count()
            + self.notes.iter().filter(|(passed, _)| !passed).count()
            + if under_ci { missing } else { 0 }
    }

    pub(crate) fn print(&self, say: fn(&str)) {
        let readers: Vec<&Client> = self.clients.iter().filter(|client| client.consumes).collect();
        say("");
        for client in &self.clients {
            let version = self.versions.get(&client.name).map_or("", String::as_str);
            match &client.missing {
                Some(reason) => say(&format!("{:<16} not run: {reason}", client.name)),
                None => say(&format!("{:<16} {version}", client.name)),
            }
        }
        say("");
        let mut head = format!("{:<24}{:>7}", "written by", "wrote");
        for reader in &readers {
            head.push_str(&format!("{:>16}", reader.name));
        }
        say(&head);
        for client in &self.clients {
            for codec in CODECS {
                say(&self.row(client, codec, &readers));
            }
        }
        say("");
        for (passed, text) in &self.notes {
            say(&format!("{} {text}", if *passed { "ok  " } else { "FAIL" }));
        }
        for line in self.failures().iter().take(DETAILS) {
            say(line);
        }
        say(&format!("{} passed, {} failed", self.passes(), self.failed()));
    }

    fn row(&self, client: &Client, codec: &str, readers: &[&Client]) -> String {
        let mut row = format!("{:<24}", format!("{} {codec}", client.name));
        if !client.runs() {
            return row + "not run";
        }
        if let Some((_, reason)) = client.lacks.iter().find(|(lacking, _)| *lacking == codec) {
            return format!("{row}skipped: {reason}");
        }
        let key = (client.name.clone(), codec.to_owned());
        row.push_str(&format!("{:>7}", mark(self.wrote.get(&key))));
        for reader in readers {
            let cell = (client.name.clone(), codec.to_owned(), reader.name.clone());
            row.push_str(&format!("{:>16}", mark(self.read.get(&cell))));
        }
        row
    }

    fn failures(&self) -> Vec<String> {
        let mut lines = Vec::new();
        for ((writer, codec), answer) in &self.wrote {
            if let Err(detail) = answer {
                lines.push(format!("FAIL {writer} writing {codec}: {detail}"));
            }
        }
        for ((writer, codec, reader), answer) in &self.read {
            if let Err(detail) = answer {
                lines.push(format!("FAIL {reader} reading {writer} {codec}: {detail}"));
            }
        }
        lines
    }
}

fn mark(answer: Option<&Result<(), String>>) -> &'static str {
    match answer {
        None => "-",
        Some(Ok(())) => "ok",
        Some(Err(_)) => "FAIL",
    }
}

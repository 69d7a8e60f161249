//! How `corelog consume` writes a record: its value, JSON, or whatever a template says.

use std::io::{self, Write};
use std::str::FromStr;

use client::RecordView;
use serde_json::{Value, json};

use crate::base64;

#[cfg(test)]
mod tests;

/// How records are written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Format {
    /// The value and a newline, or with a separator the key before it.
    Value,
    /// The value and nothing else.
    Raw,
    /// One JSON object per line.
    Json,
    /// Pieces of text and fields.
    Template(Vec<Piece>),
}

/// A piece of a template.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Piece {
    Text(String),
    Topic,
    Partition,
    Offset,
    Timestamp,
    Key,
    Value,
    Headers,
    KeyLength,
    ValueLength,
}

impl FromStr for Format {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text {
            "value" => Ok(Self::Value),
            "raw" => Ok(Self::Raw),
            "json" => Ok(Self::Json),
            template if template.contains('%') => template_of(template).map(Self::Template),
            _ => Err("use value, raw, json, or a template such as '%o %k=%v\\n'".to_owned()),
        }
    }
}

fn template_of(text: &str) -> Result<Vec<Piece>, String> {
    let mut pieces = Vec::new();
    let mut plain = String::new();
    let mut letters = text.chars();
    while let Some(letter) = letters.next() {
        let piece = match letter {
            '\\' => {
                plain.push(escape(letters.next())?);
                continue;
            }
            '%' => match letters.next() {
                Some('%') => {
                    plain.push('%');
                    continue;
                }
                Some('t') => Piece::Topic,
                Some('p') => Piece::Partition,
                Some('o') => Piece::Offset,
                Some('T') => Piece::Timestamp,
                Some('k') => Piece::Key,
                Some('v' | 's') => Piece::Value,
                Some('h') => Piece::Headers,
                Some('K') => Piece::KeyLength,
                Some('S') => Piece::ValueLength,
                Some(other) => return Err(format!("%{other} is no field; see --help")),
                None => return Err("the template ends in the middle of a field".to_owned()),
            },
            letter => {
                plain.push(letter);
                continue;
            }
        };
        if !plain.is_empty() {
            pieces.push(Piece::Text(std::mem::take(&mut plain)));
        }
        pieces.push(piece);
    }
    if !plain.is_empty() {
        pieces.push(Piece::Text(plain));
    }
    Ok(pieces)
}

fn escape(letter: Option<char>) -> Result<char, String> {
    match letter {
        Some('n') => Ok('\n'),
        Some('t') => Ok('\t'),
        Some('r') => Ok('\r'),
        Some('0') => Ok('\0'),
        Some('\\') => Ok('\\'),
        _ => Err("after a backslash use n, t, r, 0 or another backslash".to_owned()),
    }
}

/// Reads a separator in which `\t`, `\n` and the like may stand for themselves.
pub(crate) fn separator(text: &str) -> Result<String, String> {
    let mut plain = String::new();
    let mut letters = text.chars();
    while let Some(letter) = letters.next() {
        plain.push(if letter == '\\' { escape(letters.next())? } else { letter });
    }
    if plain.is_empty() { Err("a separator cannot be empty".to_owned()) } else { Ok(plain) }
}

/// Writes one record.
pub(crate) fn write(
    out: &mut impl Write,
    record: &RecordView<'_>,
    format: &Format,
    key_separator: Option<&str>,
) -> io::Result<()> {
    match format {
        Format::Value => {
            if let Some(separator) = key_separator {
                out.write_all(record.key.unwrap_or_default())?;
                out.write_all(separator.as_bytes())?;
            }
            out.write_all(record.value.unwrap_or_default())?;
            out.write_all(b"\n")
        }
        Format::Raw => out.write_all(record.value.unwrap_or_default()),
        Format::Json => writeln!(out, "{}", json_of(record)),
        Format::Template(pieces) => pieces.iter().try_for_each(|it| write_piece(out, record, it)),
    }
}

fn write_piece(out: &mut impl Write, record: &RecordView<'_>, piece: &Piece) -> io::Result<()> {
    let length = |field: Option<&[u8]>| {
        field.map_or(-1, |bytes| i64::try_from(bytes.len()).unwrap_or(i64::MAX))
    };
    match piece {
        Piece::Text(text) => out.write_all(text.as_bytes()),
        Piece::Topic => out.write_all(record.topic.as_bytes()),
        Piece::Partition => write!(out, "{}", record.partition),
        Piece::Offset => write!(out, "{}", record.offset),
        Piece::Timestamp => write!(out, "{}", record.timestamp_ms),
        Piece::Key => out.write_all(record.key.unwrap_or_default()),
        Piece::Value => out.write_all(record.value.unwrap_or_default()),
        Piece::KeyLength => write!(out, "{}", length(record.key)),
        Piece::ValueLength => write!(out, "{}", length(record.value)),
        Piece::Headers => {
            for (place, header) in record.headers.iter().enumerate() {
                if place > 0 {
                    out.write_all(b",")?;
                }
                out.write_all(header.key)?;
                out.write_all(b"=")?;
                out.write_all(header.value.unwrap_or_default())?;
            }
            Ok(())
        }
    }
}

fn json_of(record: &RecordView<'_>) -> Value {
    let headers: Vec<Value> = record
        .headers
        .iter()
        .map(|header| {
            json!({ "key": String::from_utf8_lossy(header.key), "value": json_bytes(header.value) })
        })
        .collect();
    json!({
        "topic": record.topic,
        "partition": record.partition,
        "offset": record.offset,
        "timestamp": record.timestamp_ms,
        "key": json_bytes(record.key),
        "value": json_bytes(record.value),
        "headers": headers,
    })
}

/// Text as text, other bytes as `{"base64": ".."}`: nothing is lost, and `corelog produce --format json` reads both.
fn json_bytes(bytes: Option<&[u8]>) -> Value {
    match bytes.map(|bytes| (bytes, std::str::from_utf8(bytes))) {
        None => Value::Null,
        Some((_, Ok(text))) => text.into(),
        Some((bytes, Err(_))) => json!({ "base64": base64::encode(bytes) }),
    }
}

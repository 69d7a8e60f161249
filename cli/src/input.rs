//! How `corelog produce` reads records: lines with or without a key, JSON, or pieces of equal size.

use serde_json::Value;

use crate::base64;

#[cfg(test)]
mod tests;

/// A line longer than this is refused rather than gathered in memory.
pub(crate) const LINE_BYTES_MAX: usize = 64 << 20;

/// Cuts what standard input gives into records.
#[derive(Debug)]
pub(crate) struct Splitter {
    cut: Cut,
    /// What has arrived and is not handed out.
    pending: Vec<u8>,
    /// Where the record that is not complete begins.
    start: usize,
    /// How far the end of the record was looked for.
    looked: usize,
}

/// Where one record ends and the next begins.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Cut {
    /// At each newline, which belongs to no record.
    Lines,
    /// After so many bytes.
    Bytes(usize),
}

impl Splitter {
    pub(crate) fn new(cut: Cut) -> Self {
        Self { cut, pending: Vec::new(), start: 0, looked: 0 }
    }

    /// Takes in what was read.
    pub(crate) fn push(&mut self, bytes: &[u8]) {
        self.pending.drain(..self.start);
        self.looked -= self.start;
        self.start = 0;
        self.pending.extend_from_slice(bytes);
    }

    /// The next whole record.
    ///
    /// # Errors
    /// A line longer than [`LINE_BYTES_MAX`].
    pub(crate) fn next(&mut self) -> Result<Option<&[u8]>, String> {
        let end = match self.cut {
            Cut::Lines => {
                let rest = &self.pending[self.looked..];
                match rest.iter().position(|&byte| byte == b'\n') {
                    Some(place) => self.looked + place,
                    None => {
                        self.looked = self.pending.len();
                        if self.looked - self.start > LINE_BYTES_MAX {
                            return Err(format!("a line of more than {LINE_BYTES_MAX} bytes"));
                        }
                        return Ok(None);
                    }
                }
            }
            Cut::Bytes(bytes) if self.pending.len() - self.start >= bytes => self.start + bytes,
            Cut::Bytes(_) => return Ok(None),
        };
        let record = &self.pending[self.start..end];
        self.start = if self.cut == Cut::Lines { end + 1 } else { end };
        self.looked = self.start;
        Ok(Some(record))
    }

    /// What is left when the input has ended: a last line without a newline, or a short piece.
    pub(crate) fn rest(&mut self) -> Option<&[u8]> {
        let rest = &self.pending[self.start..];
        self.start = self.pending.len();
        self.looked = self.start;
        Some(rest).filter(|rest| !rest.is_empty())
    }
}

/// How a record's bytes are read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub(crate) enum InputFormat {
    /// The bytes are the value, with a separator the key and the value.
    Value,
    /// A JSON object as `corelog consume --format json` writes it.
    Json,
}

/// A record as it was read. What is `None` was not said.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Parsed {
    pub(crate) key: Option<Vec<u8>>,
    pub(crate) value: Option<Vec<u8>>,
    pub(crate) headers: Vec<(Vec<u8>, Option<Vec<u8>>)>,
    pub(crate) timestamp_ms: Option<i64>,
    pub(crate) partition: Option<i32>,
}

/// Splits `key<separator>value`.
pub(crate) fn split_key<'a>(line: &'a [u8], separator: &[u8]) -> Option<(&'a [u8], &'a [u8])> {
    let place = line.windows(separator.len()).position(|window| window == separator)?;
    Some((&line[..place], &line[place + separator.len()..]))
}

/// Reads a JSON object: `key`, `value` (text, null or `{"base64": ".."}`), `headers` (a list of `key` and `value`),
/// `timestamp`, `partition`. `topic` and `offset` are passed over, so that what was consumed can be produced again.
pub(crate) fn parse_json(line: &[u8]) -> Result<Parsed, String> {
    let object: serde_json::Map<String, Value> =
        serde_json::from_slice(line).map_err(|error| format!("not a JSON object: {error}"))?;
    let mut parsed = Parsed::default();
    for (name, value) in &object {
        match name.as_str() {
            "key" => parsed.key = bytes_of(name, value)?,
            "value" => parsed.value = bytes_of(name, value)?,
            "headers" => parsed.headers = headers_of(value)?,
            "timestamp" => parsed.timestamp_ms = Some(number_of(name, value)?),
            "partition" => {
                let number = i32::try_from(number_of(name, value)?);
                parsed.partition = Some(number.map_err(|_large| "partition is too large")?);
            }
            "topic" | "offset" => {}
            unknown => return Err(format!("the field {unknown:?} is not known")),
        }
    }
    Ok(parsed)
}

fn number_of(name: &str, value: &Value) -> Result<i64, String> {
    value.as_i64().ok_or_else(|| format!("{name} must be a whole number"))
}

fn bytes_of(name: &str, value: &Value) -> Result<Option<Vec<u8>>, String> {
    let complaint = || format!("{name} must be text, null or {{\"base64\": \"..\"}}");
    match value {
        Value::Null => Ok(None),
        Value::String(text) => Ok(Some(text.clone().into_bytes())),
        Value::Object(object) if object.len() == 1 => {
            let text = object.get("base64").and_then(Value::as_str).ok_or_else(complaint)?;
            base64::decode(text).map(Some).ok_or_else(|| format!("{name} is not base64"))
        }
        Value::Object(_) | Value::Bool(_) | Value::Number(_) | Value::Array(_) => Err(complaint()),
    }
}

/// A header's key and value.
type Header = (Vec<u8>, Option<Vec<u8>>);

fn headers_of(value: &Value) -> Result<Vec<Header>, String> {
    let complaint = || "headers must be a list of {\"key\": .., \"value\": ..}".to_owned();
    let list = value.as_array().ok_or_else(complaint)?;
    list.iter()
        .map(|header| {
            let key = header.get("key").and_then(Value::as_str).ok_or_else(complaint)?;
            let value = bytes_of("a header's value", header.get("value").unwrap_or(&Value::Null))?;
            Ok((key.as_bytes().to_vec(), value))
        })
        .collect()
}

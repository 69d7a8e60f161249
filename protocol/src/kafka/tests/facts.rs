//! What a message says, read from its debug text, so that two implementations can be compared field by field.

use crate::error_code::ErrorCode;
use crate::ids::TopicId;

/// The name and value of every leaf field, sorted. Nulls, empty text and "no error" count as nothing said; byte strings
/// are one number a byte. Fields named in `without` are left out.
pub(super) fn facts(debug: &str, without: &[&str]) -> Vec<(String, String)> {
    let mut facts: Vec<(String, String)> = Vec::new();
    let mut field = String::new();
    let mut rest = debug;
    while let Some(first) = rest.chars().next() {
        let (taken, values) = if let Some(uuid) = uuid(rest) {
            (36, vec![uuid.to_string()])
        } else if let Some(bytes) = rest.strip_prefix("b\"") {
            let end = bytes.find('"').expect("a byte string ends");
            (end + 3, bytes[..end].bytes().map(|byte| byte.to_string()).collect())
        } else if let Some(id) = rest.strip_prefix("TopicId(") {
            let id: TopicId = id[..22].parse().expect("a topic id as it is shown");
            (8 + 22 + 1, vec![u128::from_be_bytes(id.get()).to_string()])
        } else if let Some(bytes) =
            rest.strip_prefix('[').filter(|_| field.ends_with("directory_id"))
        {
            let end = bytes.find(']').expect("an array ends");
            let bytes = bytes[..end].split(", ").map(|byte| byte.parse::<u8>().expect("a byte"));
            (end + 2, vec![bytes.fold(0, |id, byte| id << 8 | u128::from(byte)).to_string()])
        } else if let Some(text) = rest.strip_prefix('"') {
            let end = text.find('"').expect("text ends");
            (end + 2, vec![text[..end].to_owned()])
        } else if first == '-' || first.is_ascii_digit() {
            let end = rest[1..].find(|c: char| !c.is_ascii_digit()).map_or(rest.len(), |at| at + 1);
            (end, vec![rest[..end].to_owned()])
        } else if first.is_ascii_alphabetic() || first == '_' {
            let end =
                rest.find(|c: char| !c.is_ascii_alphanumeric() && c != '_').unwrap_or(rest.len());
            let word = &rest[..end];
            if rest[end..].starts_with(':') {
                field = word.to_owned();
            }
            let code = ErrorCode::ALL.iter().find(|code| format!("{code:?}") == word);
            let value = match code {
                Some(code) if code.is_error() => Some(code.code().to_string()),
                _ => matches!(word, "true" | "false").then(|| word.to_owned()),
            };
            (end, value.into_iter().collect())
        } else {
            (first.len_utf8(), Vec::new())
        };
        rest = &rest[taken..];
        let nothing = |value: &String| {
            value.is_empty()
                || field.ends_with("error_code") && value == "0"
                || field == "error_message" && value == "0"
        };
        if !without.contains(&field.as_str()) {
            let values = values.into_iter().filter(|value| !nothing(value));
            facts.extend(values.map(|value| (field.clone(), value)));
        }
    }
    facts.sort();
    facts
}

fn uuid(text: &str) -> Option<u128> {
    let text = text.get(..36)?;
    let dashes = [8, 13, 18, 23].into_iter().all(|at| text.as_bytes()[at] == b'-');
    dashes.then(|| u128::from_str_radix(&text.replace('-', ""), 16).ok()).flatten()
}

//! Which names a topic may have, as Kafka rules.

/// The longest name, in bytes: a directory named after a partition must fit in 255.
pub const LENGTH_MAX: usize = 249;

/// Topics that belong to the broker and not to its users; clients are told so.
pub const INTERNAL: [&str; 3] =
    ["__consumer_offsets", "__transaction_state", "__share_group_state"];

/// The name Kafka reserves for its own metadata log; no topic may have it.
pub const RESERVED: &str = "__cluster_metadata";

/// Why a name is no topic's.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum InvalidName {
    /// Nothing there.
    #[error("Topic name is invalid: the empty string is not allowed")]
    Empty,
    /// `.` or `..`, which name directories.
    #[error("Topic name is invalid: '{0}' is not allowed")]
    Dots(String),
    /// More than [`LENGTH_MAX`] bytes.
    #[error(
        "Topic name is invalid: the length of '{0}' is longer than the max allowed length {LENGTH_MAX}"
    )]
    TooLong(String),
    /// A character that is not allowed.
    #[error(
        "Topic name is invalid: '{0}' contains one or more characters other than ASCII alphanumerics, '.', '_' and '-'"
    )]
    Character(String),
}

/// Whether a topic may have this name.
pub fn check(name: &str) -> Result<(), InvalidName> {
    let allowed = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'_' | b'-');
    match name {
        "" => Err(InvalidName::Empty),
        "." | ".." => Err(InvalidName::Dots(name.to_owned())),
        _ if name.len() > LENGTH_MAX => Err(InvalidName::TooLong(name.to_owned())),
        _ if !name.bytes().all(allowed) => Err(InvalidName::Character(name.to_owned())),
        _ => Ok(()),
    }
}

/// Whether the broker keeps this topic for itself.
pub fn is_internal(name: &str) -> bool {
    INTERNAL.contains(&name)
}

/// Whether two names would be one in a metric, where `.` is written as `_`.
pub fn collide(one: &str, other: &str) -> bool {
    let fold = |byte: u8| if byte == b'.' { b'_' } else { byte };
    one.len() == other.len() && one.bytes().map(fold).eq(other.bytes().map(fold))
}

/// Whether any other name could collide with this one.
pub fn can_collide(name: &str) -> bool {
    name.bytes().any(|byte| matches!(byte, b'.' | b'_'))
}

#[cfg(test)]
mod tests;

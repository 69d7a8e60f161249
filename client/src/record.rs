//! What a producer is given: one record, borrowed from the caller until it is accepted.

pub use protocol::batch::records::Header;

/// One record to produce. Everything is borrowed; accepting it copies it into its batch.
///
/// ```
/// use client::Record;
/// let record = Record::to("orders").key(b"customer-7").value(b"two of those");
/// assert_eq!(record.topic, "orders");
/// ```
#[derive(Debug, Clone, Copy)]
pub struct Record<'a> {
    /// The topic's name.
    pub topic: &'a str,
    /// The partition; `None` leaves it to the partitioner: by key, or stickily without one.
    pub partition: Option<i32>,
    /// The key; `None` and empty are different.
    pub key: Option<&'a [u8]>,
    /// The value; `None` is a tombstone, which deletes the key in a compacted topic.
    pub value: Option<&'a [u8]>,
    /// Headers, in the order in which consumers will see them.
    pub headers: &'a [Header<'a>],
    /// Milliseconds since 1970 UTC; `None` takes the time of sending.
    pub timestamp_ms: Option<i64>,
}

impl<'a> Record<'a> {
    /// A record for `topic`, without key and value.
    pub fn to(topic: &'a str) -> Self {
        Self { topic, partition: None, key: None, value: None, headers: &[], timestamp_ms: None }
    }

    /// Sets the key.
    #[must_use]
    pub fn key(self, key: &'a (impl AsRef<[u8]> + ?Sized)) -> Self {
        Self { key: Some(key.as_ref()), ..self }
    }

    /// Sets the value.
    #[must_use]
    pub fn value(self, value: &'a (impl AsRef<[u8]> + ?Sized)) -> Self {
        Self { value: Some(value.as_ref()), ..self }
    }

    /// Sets the headers.
    #[must_use]
    pub fn headers(self, headers: &'a [Header<'a>]) -> Self {
        Self { headers, ..self }
    }

    /// Chooses the partition.
    #[must_use]
    pub fn partition(self, partition: i32) -> Self {
        Self { partition: Some(partition), ..self }
    }

    /// Sets the timestamp, in milliseconds since 1970 UTC.
    #[must_use]
    pub fn timestamp_ms(self, timestamp_ms: i64) -> Self {
        Self { timestamp_ms: Some(timestamp_ms), ..self }
    }
}

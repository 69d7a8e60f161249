//! Bounds-checked, budgeted reading of big-endian wire bytes.

/// Why bytes could not be decoded.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum DecodeError {
    /// The input ended before the value did.
    #[error("wanted {wanted_bytes} more bytes where only {left_bytes} are left")]
    Truncated {
        /// How many bytes the value needs.
        wanted_bytes: usize,
        /// How many there are.
        left_bytes: usize,
    },
    /// A negative length other than the -1 that means null.
    #[error("a length of {0}")]
    BadLength(i64),
    /// More items than the bytes left could hold.
    #[error("{count} items cannot be in {left_bytes} bytes")]
    BadCount {
        /// The number of items announced.
        count: usize,
        /// How many bytes are left for them.
        left_bytes: usize,
    },
    /// More of something than one message may carry.
    #[error("more {0} than a message may carry")]
    OverCap(Cap),
    /// The decoded message would take more memory than its size on the wire justifies.
    #[error("the message would grow past {ALLOCATED_PER_BYTE} times its size in memory")]
    OverBudget,
    /// Text that is not UTF-8.
    #[error("text that is not UTF-8")]
    BadText,
    /// A varint longer than its type allows.
    #[error("a varint that does not end in time")]
    BadVarint,
    /// A null where the schema has none.
    #[error("a null where there must be a value")]
    UnexpectedNull,
    /// A tagged field that is longer than its value.
    #[error("tagged field {tag} has {left_bytes} bytes behind its value")]
    BadTag {
        /// The field's tag.
        tag: u32,
        /// How many bytes remained.
        left_bytes: usize,
    },
    /// Bytes behind the end of the message.
    #[error("{0} bytes behind the message's end")]
    Trailing(usize),
}

/// What is counted over a whole message, so that a small frame cannot ask for much work.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default)]
pub enum Cap {
    /// Topics, whatever array they are in.
    Topics,
    /// Partitions, over all topics.
    Partitions,
    /// Groups and other keys that name a coordinator.
    Groups,
    /// Tagged fields in one section.
    Tags,
    /// Bytes of one string.
    StringBytes,
    /// Items of all other arrays together.
    #[default]
    Items,
}

impl std::fmt::Display for Cap {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Topics => "topics",
            Self::Partitions => "partitions",
            Self::Groups => "groups",
            Self::Tags => "tagged fields",
            Self::StringBytes => "bytes of text",
            Self::Items => "array items",
        })
    }
}

/// How much of each thing one message may carry.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// See [`Cap::Topics`].
    pub topics: u32,
    /// See [`Cap::Partitions`].
    pub partitions: u32,
    /// See [`Cap::Groups`].
    pub groups: u32,
    /// See [`Cap::Tags`].
    pub tags: u32,
    /// See [`Cap::StringBytes`].
    pub string_bytes: u32,
    /// See [`Cap::Items`].
    pub items: u32,
}

impl Limits {
    /// What a broker accepts from a client it does not know.
    pub const REQUEST: Self = Self {
        topics: 10_000,
        partitions: 100_000,
        groups: 1_000,
        tags: 64,
        string_bytes: 32_767,
        items: 1_000_000,
    };
    /// What a client accepts from the broker it asked: clusters may be large.
    pub const RESPONSE: Self = Self {
        topics: 1_000_000,
        partitions: 10_000_000,
        groups: 1_000_000,
        tags: 64,
        string_bytes: 32_767,
        items: 100_000_000,
    };
}

/// How many bytes a decoded message may allocate for each byte of its wire form.
pub const ALLOCATED_PER_BYTE: usize = 8;
/// What every message may allocate besides: it lets small honest messages with one-letter names pass.
pub const ALLOCATED_BASE: usize = 1024;

/// A cursor over borrowed bytes. Reading never copies and never panics, and all that it allocates for arrays is taken
/// from a budget of [`ALLOCATED_BASE`] plus [`ALLOCATED_PER_BYTE`] times the input.
#[derive(Debug, Clone)]
pub struct Reader<'a> {
    rest: &'a [u8],
    /// Bytes that arrays may still allocate.
    budget: usize,
    /// What is left of each limit; strings and tags are limits of one, not of all.
    left: Limits,
    /// What the next array counts as.
    next_cap: Cap,
}

impl<'a> Reader<'a> {
    /// Starts at the first byte.
    pub const fn new(bytes: &'a [u8], limits: Limits) -> Self {
        let budget = bytes.len().saturating_mul(ALLOCATED_PER_BYTE).saturating_add(ALLOCATED_BASE);
        Self { rest: bytes, budget, left: limits, next_cap: Cap::Items }
    }

    /// Reads what a client sent, within [`Limits::REQUEST`].
    pub const fn request(bytes: &'a [u8]) -> Self {
        Self::new(bytes, Limits::REQUEST)
    }

    /// Reads what a broker answered, within [`Limits::RESPONSE`].
    pub const fn response(bytes: &'a [u8]) -> Self {
        Self::new(bytes, Limits::RESPONSE)
    }

    /// Takes exactly `count` bytes.
    #[inline]
    pub const fn take(&mut self, count: usize) -> Result<&'a [u8], DecodeError> {
        let Some((head, rest)) = self.rest.split_at_checked(count) else {
            return Err(DecodeError::Truncated {
                wanted_bytes: count,
                left_bytes: self.rest.len(),
            });
        };
        self.rest = rest;
        Ok(head)
    }

    /// Takes a fixed-size array.
    #[inline]
    pub const fn array<const N: usize>(&mut self) -> Result<[u8; N], DecodeError> {
        let Some((head, rest)) = self.rest.split_first_chunk() else {
            return Err(DecodeError::Truncated { wanted_bytes: N, left_bytes: self.rest.len() });
        };
        self.rest = rest;
        Ok(*head)
    }

    /// Reads an unsigned varint of at most 32 bits, lowest seven bits first.
    #[inline]
    pub fn uvarint(&mut self) -> Result<u32, DecodeError> {
        match *self.rest {
            [first @ 0..=0x7f, ref rest @ ..] => {
                self.rest = rest;
                Ok(u32::from(first))
            }
            [first, second @ 0..=0x7f, ref rest @ ..] => {
                self.rest = rest;
                Ok(u32::from(first & 0x7f) | u32::from(second) << 7)
            }
            _ => self.long_uvarint(),
        }
    }

    fn long_uvarint(&mut self) -> Result<u32, DecodeError> {
        let mut value = 0;
        for shift in [0, 7, 14, 21, 28] {
            let [byte] = self.array()?;
            let bits = u32::from(byte & 0x7f);
            if shift == 28 && bits > 0x0f {
                return Err(DecodeError::BadVarint);
            }
            value |= bits << shift;
            if byte & 0x80 == 0 {
                return Ok(value);
            }
        }
        Err(DecodeError::BadVarint)
    }

    /// Takes text of a known length.
    #[inline]
    pub(crate) fn text(&mut self, bytes: usize) -> Result<&'a str, DecodeError> {
        if bytes > self.left.string_bytes as usize {
            return Err(DecodeError::OverCap(Cap::StringBytes));
        }
        match std::str::from_utf8(self.take(bytes)?) {
            Ok(text) => Ok(text),
            Err(_) => Err(DecodeError::BadText),
        }
    }

    /// Says what the items of the array that comes next count as.
    pub const fn cap_next(&mut self, cap: Cap) {
        self.next_cap = cap;
    }

    /// Pays for an array before a byte of it is reserved: its items must fit the bytes left, the limit of their kind,
    /// and the memory budget.
    #[inline]
    pub(crate) fn claim(
        &mut self,
        count: usize,
        item_wire_bytes: usize,
        item_memory_bytes: usize,
    ) -> Result<(), DecodeError> {
        let cap = std::mem::take(&mut self.next_cap);
        if count > self.rest.len() / item_wire_bytes.max(1) {
            return Err(DecodeError::BadCount { count, left_bytes: self.rest.len() });
        }
        let left = match cap {
            Cap::Topics => &mut self.left.topics,
            Cap::Partitions => &mut self.left.partitions,
            Cap::Groups => &mut self.left.groups,
            Cap::Tags | Cap::StringBytes | Cap::Items => &mut self.left.items,
        };
        let claimed = u32::try_from(count).ok().and_then(|count| left.checked_sub(count));
        *left = claimed.ok_or(DecodeError::OverCap(cap))?;
        let memory_bytes = count.saturating_mul(item_memory_bytes);
        self.budget = self.budget.checked_sub(memory_bytes).ok_or(DecodeError::OverBudget)?;
        Ok(())
    }

    /// Walks a tag section, handing each field's tag to `known` with the reader confined to the field's bytes.
    ///
    /// A field that `known` does not read (it answers false) is skipped; one that it reads must be read to its end.
    /// If a tag comes twice the later one wins, as in Kafka's own decoders.
    #[inline]
    pub fn tags(
        &mut self,
        known: impl FnMut(u32, &mut Self) -> Result<bool, DecodeError>,
    ) -> Result<(), DecodeError> {
        // Nearly every section is empty.
        if let [0, rest @ ..] = self.rest {
            self.rest = rest;
            return Ok(());
        }
        self.tags_present(known)
    }

    #[cold]
    fn tags_present(
        &mut self,
        mut known: impl FnMut(u32, &mut Self) -> Result<bool, DecodeError>,
    ) -> Result<(), DecodeError> {
        let count = self.uvarint()?;
        if count > self.left.tags {
            return Err(DecodeError::OverCap(Cap::Tags));
        }
        for _ in 0..count {
            let tag = self.uvarint()?;
            let bytes = self.uvarint()? as usize;
            let field = self.take(bytes)?;
            let behind = std::mem::replace(&mut self.rest, field);
            if known(tag, self)? && !self.rest.is_empty() {
                return Err(DecodeError::BadTag { tag, left_bytes: self.rest.len() });
            }
            self.rest = behind;
        }
        Ok(())
    }

    /// Bytes not yet read.
    pub const fn left_bytes(&self) -> usize {
        self.rest.len()
    }

    /// The bytes not yet read.
    pub const fn rest(&self) -> &'a [u8] {
        self.rest
    }

    /// Insists that everything was read.
    pub const fn finish(self) -> Result<(), DecodeError> {
        if self.rest.is_empty() { Ok(()) } else { Err(DecodeError::Trailing(self.rest.len())) }
    }
}

#[cfg(test)]
mod tests;

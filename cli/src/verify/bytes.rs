//! Reading fields off bytes, little-endian as the format has them, never past the end.

/// A block of the format.
pub(super) const BLOCK: usize = 4096;

/// What is left of some bytes. Every read says whether there was enough.
#[derive(Debug, Clone)]
pub(super) struct Fields<'a>(pub(super) &'a [u8]);

macro_rules! numbers {
    ($($name:ident $type:ty;)*) => {
        $(
            pub(super) fn $name(&mut self) -> Option<$type> {
                self.array().map(<$type>::from_le_bytes)
            }
        )*
    };
}

impl<'a> Fields<'a> {
    numbers! {
        u8 u8;
        u16 u16;
        i16 i16;
        u32 u32;
        i32 i32;
        u64 u64;
        i64 i64;
    }

    pub(super) fn take(&mut self, count: usize) -> Option<&'a [u8]> {
        let (taken, rest) = self.0.split_at_checked(count)?;
        self.0 = rest;
        Some(taken)
    }

    pub(super) fn array<const N: usize>(&mut self) -> Option<[u8; N]> {
        let (taken, rest) = self.0.split_first_chunk::<N>()?;
        self.0 = rest;
        Some(*taken)
    }

    /// A count, and as many items; a count that the bytes cannot hold is refused before anything is reserved.
    pub(super) fn list<T>(
        &mut self,
        item_bytes_min: usize,
        mut item: impl FnMut(&mut Self) -> Option<T>,
    ) -> Option<Vec<T>> {
        let count = usize::try_from(self.u32()?).ok()?;
        if count.checked_mul(item_bytes_min)? > self.0.len() {
            return None;
        }
        (0..count).map(|_| item(self)).collect()
    }

    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

/// A little-endian number in the middle of bytes that are known to be long enough.
pub(super) fn u32_at(bytes: &[u8], at: usize) -> u32 {
    Fields(&bytes[at..]).u32().expect("the caller has checked the length")
}

/// As [`u32_at`].
pub(super) fn u64_at(bytes: &[u8], at: usize) -> u64 {
    Fields(&bytes[at..]).u64().expect("the caller has checked the length")
}

/// CRC-32C of `bytes` with the four bytes at `at` taken as zero.
pub(super) fn crc_without(bytes: &[u8], at: usize) -> u32 {
    let crc = crc32c::crc32c(&bytes[..at]);
    let crc = crc32c::crc32c_append(crc, &[0; 4]);
    crc32c::crc32c_append(crc, &bytes[at + 4..])
}

/// A UUID in lower-case hyphenated form.
pub(super) fn uuid_text(bytes: [u8; 16]) -> String {
    uuid::Uuid::from_bytes(bytes).hyphenated().to_string()
}

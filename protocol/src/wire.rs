//! The vocabulary of Kafka fields: how each kind of value is read and written.

use crate::error_code::ErrorCode;
use crate::ids::TopicId;
use crate::reader::{DecodeError, Reader};

mod length;
mod tag;

pub(crate) use length::{array_count, put_array_count, put_bytes_length, put_uvarint};
use length::{length, min_length, put_length, put_null};
pub(crate) use tag::{put_tag, put_tag_with};

/// The version a message is spoken in, and whether it uses the compact encoding (KIP-482).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Version {
    /// The API's version.
    pub number: i16,
    /// Whether lengths are varints and every structure ends in a tag section.
    pub flexible: bool,
}

/// Why a message cannot be written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum EncodeError {
    /// A field carries a value that this version has no place for, and dropping it would change the meaning.
    #[error("{field} cannot be said in version {version}")]
    NotInVersion {
        /// The field.
        field: &'static str,
        /// The version asked for.
        version: i16,
    },
    /// A field is null in a version that needs a value.
    #[error("{field} cannot be null in version {version}")]
    NullInVersion {
        /// The field.
        field: &'static str,
        /// The version asked for.
        version: i16,
    },
    /// Text, bytes or a list longer than its length field can say.
    #[error("a length of {0} is more than the wire can carry")]
    TooLong(usize),
    /// A list that was announced with another length than it has.
    #[error("{announced} items were announced and {written} written")]
    Miscounted {
        /// The number in the count field.
        announced: usize,
        /// How many came.
        written: usize,
    },
}

/// A value that knows its wire form in every version.
pub trait Wire<'a>: Sized {
    /// Reads one value; borrows text and bytes from the input.
    fn decode(from: &mut Reader<'a>, version: Version) -> Result<Self, DecodeError>;

    /// Appends the value.
    fn encode(&self, into: &mut Vec<u8>, version: Version) -> Result<(), EncodeError>;

    /// The fewest bytes that any value takes in this version: what bounds a count.
    fn min_bytes(version: Version) -> usize;

    /// A value unlike the default, and unlike the ones before it.
    #[cfg(any(test, fuzzing))]
    fn sample(sampler: &mut crate::sample::Sampler, version: Version) -> Self;
}

macro_rules! fixed {
    ($($ty:ty),*) => {$(
        impl Wire<'_> for $ty {
            #[inline]
            fn decode(from: &mut Reader<'_>, _version: Version) -> Result<Self, DecodeError> {
                Ok(Self::from_be_bytes(from.array()?))
            }
            #[inline]
            fn encode(&self, into: &mut Vec<u8>, _version: Version) -> Result<(), EncodeError> {
                into.extend_from_slice(&self.to_be_bytes());
                Ok(())
            }
            #[inline]
            fn min_bytes(_version: Version) -> usize {
                size_of::<Self>()
            }
            #[cfg(any(test, fuzzing))]
            fn sample(sampler: &mut crate::sample::Sampler, _version: Version) -> Self {
                sampler.number() as Self
            }
        }
    )*};
}
fixed!(i8, i16, i32, i64, u16, u32, f64);

impl Wire<'_> for bool {
    #[inline]
    fn decode(from: &mut Reader<'_>, version: Version) -> Result<Self, DecodeError> {
        Ok(i8::decode(from, version)? != 0)
    }
    fn encode(&self, into: &mut Vec<u8>, version: Version) -> Result<(), EncodeError> {
        i8::from(*self).encode(into, version)
    }
    fn min_bytes(_version: Version) -> usize {
        1
    }
    #[cfg(any(test, fuzzing))]
    fn sample(sampler: &mut crate::sample::Sampler, _version: Version) -> Self {
        sampler.flag
    }
}

/// A UUID that names no topic, such as a log directory's.
impl Wire<'_> for [u8; 16] {
    #[inline]
    fn decode(from: &mut Reader<'_>, _version: Version) -> Result<Self, DecodeError> {
        from.array()
    }
    fn encode(&self, into: &mut Vec<u8>, _version: Version) -> Result<(), EncodeError> {
        into.extend_from_slice(self);
        Ok(())
    }
    fn min_bytes(_version: Version) -> usize {
        16
    }
    #[cfg(any(test, fuzzing))]
    fn sample(sampler: &mut crate::sample::Sampler, _version: Version) -> Self {
        u128::from(sampler.number().unsigned_abs()).to_be_bytes()
    }
}

impl Wire<'_> for TopicId {
    #[inline]
    fn decode(from: &mut Reader<'_>, _version: Version) -> Result<Self, DecodeError> {
        Ok(Self::new(from.array()?))
    }
    fn encode(&self, into: &mut Vec<u8>, _version: Version) -> Result<(), EncodeError> {
        into.extend_from_slice(&self.get());
        Ok(())
    }
    fn min_bytes(_version: Version) -> usize {
        16
    }
    #[cfg(any(test, fuzzing))]
    fn sample(sampler: &mut crate::sample::Sampler, version: Version) -> Self {
        Self::new(Wire::sample(sampler, version))
    }
}

/// A number that this build does not know reads as [`ErrorCode::UnknownServerError`].
impl Wire<'_> for ErrorCode {
    #[inline]
    fn decode(from: &mut Reader<'_>, version: Version) -> Result<Self, DecodeError> {
        Ok(Self::from_wire(i16::decode(from, version)?))
    }
    fn encode(&self, into: &mut Vec<u8>, version: Version) -> Result<(), EncodeError> {
        self.code().encode(into, version)
    }
    fn min_bytes(_version: Version) -> usize {
        2
    }
    #[cfg(any(test, fuzzing))]
    fn sample(sampler: &mut crate::sample::Sampler, _version: Version) -> Self {
        let place = sampler.number().unsigned_abs() as usize % 100;
        Self::ALL[place + 2]
    }
}

impl<'a> Wire<'a> for Option<&'a str> {
    #[inline]
    fn decode(from: &mut Reader<'a>, version: Version) -> Result<Self, DecodeError> {
        match length::<i16>(from, version)? {
            Some(bytes) => from.text(bytes).map(Some),
            None => Ok(None),
        }
    }
    fn encode(&self, into: &mut Vec<u8>, version: Version) -> Result<(), EncodeError> {
        match self {
            Some(text) => text.encode(into, version)?,
            None => put_null::<i16>(into, version),
        }
        Ok(())
    }
    fn min_bytes(version: Version) -> usize {
        min_length::<i16>(version)
    }
    #[cfg(any(test, fuzzing))]
    fn sample(sampler: &mut crate::sample::Sampler, version: Version) -> Self {
        (!sampler.empty).then(|| Wire::sample(sampler, version))
    }
}

impl<'a> Wire<'a> for &'a str {
    #[inline]
    fn decode(from: &mut Reader<'a>, version: Version) -> Result<Self, DecodeError> {
        Option::<&str>::decode(from, version)?.ok_or(DecodeError::UnexpectedNull)
    }
    fn encode(&self, into: &mut Vec<u8>, version: Version) -> Result<(), EncodeError> {
        // The compact form could say more, but no reader of ours or Kafka's would take it.
        if i16::try_from(self.len()).is_err() {
            return Err(EncodeError::TooLong(self.len()));
        }
        put_length::<i16>(into, version, self.len())?;
        into.extend_from_slice(self.as_bytes());
        Ok(())
    }
    fn min_bytes(version: Version) -> usize {
        min_length::<i16>(version)
    }
    #[cfg(any(test, fuzzing))]
    fn sample(sampler: &mut crate::sample::Sampler, _version: Version) -> Self {
        sampler.text()
    }
}

impl<'a> Wire<'a> for Option<&'a [u8]> {
    #[inline]
    fn decode(from: &mut Reader<'a>, version: Version) -> Result<Self, DecodeError> {
        length::<i32>(from, version)?.map(|count| from.take(count)).transpose()
    }
    fn encode(&self, into: &mut Vec<u8>, version: Version) -> Result<(), EncodeError> {
        put_bytes_length(into, version, self.map(<[u8]>::len))?;
        into.extend_from_slice(self.unwrap_or_default());
        Ok(())
    }
    fn min_bytes(version: Version) -> usize {
        min_length::<i32>(version)
    }
    #[cfg(any(test, fuzzing))]
    fn sample(sampler: &mut crate::sample::Sampler, version: Version) -> Self {
        (!sampler.empty).then(|| Wire::sample(sampler, version))
    }
}

impl<'a> Wire<'a> for &'a [u8] {
    #[inline]
    fn decode(from: &mut Reader<'a>, version: Version) -> Result<Self, DecodeError> {
        Option::<&[u8]>::decode(from, version)?.ok_or(DecodeError::UnexpectedNull)
    }
    fn encode(&self, into: &mut Vec<u8>, version: Version) -> Result<(), EncodeError> {
        Some(*self).encode(into, version)
    }
    fn min_bytes(version: Version) -> usize {
        min_length::<i32>(version)
    }
    #[cfg(any(test, fuzzing))]
    fn sample(sampler: &mut crate::sample::Sampler, _version: Version) -> Self {
        sampler.text().as_bytes()
    }
}

impl<'a, T: Wire<'a>> Wire<'a> for Option<Vec<T>> {
    #[inline]
    fn decode(from: &mut Reader<'a>, version: Version) -> Result<Self, DecodeError> {
        let Some(count) = array_count(from, version)? else {
            from.cap_next(crate::reader::Cap::default());
            return Ok(None);
        };
        from.claim(count, T::min_bytes(version), size_of::<T>())?;
        let mut items = Vec::with_capacity(count);
        for _ in 0..count {
            items.push(T::decode(from, version)?);
        }
        Ok(Some(items))
    }
    fn encode(&self, into: &mut Vec<u8>, version: Version) -> Result<(), EncodeError> {
        match self {
            Some(items) => items.encode(into, version)?,
            None => put_null::<i32>(into, version),
        }
        Ok(())
    }
    fn min_bytes(version: Version) -> usize {
        min_length::<i32>(version)
    }
    #[cfg(any(test, fuzzing))]
    fn sample(sampler: &mut crate::sample::Sampler, version: Version) -> Self {
        (!sampler.empty).then(|| Wire::sample(sampler, version))
    }
}

impl<'a, T: Wire<'a>> Wire<'a> for Vec<T> {
    #[inline]
    fn decode(from: &mut Reader<'a>, version: Version) -> Result<Self, DecodeError> {
        Option::<Self>::decode(from, version)?.ok_or(DecodeError::UnexpectedNull)
    }
    fn encode(&self, into: &mut Vec<u8>, version: Version) -> Result<(), EncodeError> {
        put_array_count(into, version, self.len())?;
        for item in self {
            item.encode(into, version)?;
        }
        Ok(())
    }
    fn min_bytes(version: Version) -> usize {
        min_length::<i32>(version)
    }
    #[cfg(any(test, fuzzing))]
    fn sample(sampler: &mut crate::sample::Sampler, version: Version) -> Self {
        let count = sampler.items();
        (0..count).map(|_| T::sample(sampler, version)).collect()
    }
}

/// Whether two values of one type differ; the type of one tells the other's.
pub(crate) fn differs<T: PartialEq>(one: &T, other: &T) -> bool {
    one != other
}

#[cfg(test)]
mod tests;

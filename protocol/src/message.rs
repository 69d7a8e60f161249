//! `message!`: a Kafka message declared once, read and written in every version.

/// Declares wire structures and derives their [`Wire`](crate::wire::Wire) form, defaults and version checks.
///
/// ```text
/// struct PartitionProduced<'a> {                        'a only where text or bytes are borrowed
///     index: i32, in 0..;                               carried by all versions
///     log_start_offset: i64 = -1, in 5.., else ignored; another default than zero; dropped silently before version 5
///     record_errors: Option<Vec<RecordError<'a>>>, in 8.., nullable 9..;   may be null from version 9 on
///     topics: Vec<TopicProduced<'a>>, in 0.., capped Topics;               counts against a limit of the message
/// } tagged {
///     0 => current_leader: CurrentLeader, in 10..;      travels in the tag section, only when it is not the default
/// }
/// ```
/// A field that is not `else ignored` and not at its default makes encoding fail in versions that do not carry it:
/// dropping it would change what the message says. An `Option` without `nullable` may be null in all its versions.
/// The clauses come in the order `in`, `nullable`, `capped`, `else ignored`.
#[macro_export]
macro_rules! message {
    ($(
        $(#[$meta:meta])*
        struct $name:ident $(<$life:lifetime>)? {
            $(
                $(#[$field_meta:meta])*
                $field:ident: $ty:ty $(= $default:expr)?, in $versions:expr
                $(, nullable $nullable:expr)? $(, capped $cap:ident)? $(, else $ignored:ident)?;
            )*
        }
        $( tagged { $(
            $(#[$tag_meta:meta])*
            $tag:literal => $tag_field:ident: $tag_ty:ty $(= $tag_default:expr)?, in $tag_versions:expr
            $(, capped $tag_cap:ident)? $(, else $tag_ignored:ident)?;
        )* } )?
    )*) => {$(
        $(#[$meta])*
        #[derive(Debug, Clone, PartialEq)]
        pub struct $name $(<$life>)? {
            $(
                $(#[$field_meta])*
                #[doc = concat!("\n\nVersions `", stringify!($versions), "`.")]
                pub $field: $ty,
            )*
            $( $(
                $(#[$tag_meta])*
                #[doc = concat!("\n\nTag ", $tag, ", versions `", stringify!($tag_versions), "`.")]
                pub $tag_field: $tag_ty,
            )* )?
        }
        impl $(<$life>)? Default for $name $(<$life>)? {
            fn default() -> Self {
                Self {
                    $( $field: $crate::message!(@default $($default)?), )*
                    $( $( $tag_field: $crate::message!(@default $($tag_default)?), )* )?
                }
            }
        }
        $crate::message!(@impl [$($life)?] $name
            { $( $field: $ty [$($default)?], $versions, [$($nullable)?] [$($cap)?] [$($ignored)?]; )* }
            { $( $( $tag, $tag_field: $tag_ty [$($tag_default)?], $tag_versions, [$($tag_cap)?] [$($tag_ignored)?]; )* )? });
    )*};
    (@default) => { Default::default() };
    (@default $default:expr) => { $default };
    (@strict) => { true };
    (@strict ignored) => { false };
    (@impl [] $name:ident $($body:tt)*) => {
        $crate::message!(@body ['_] [$name] $($body)*);
    };
    (@impl [$life:lifetime] $name:ident $($body:tt)*) => {
        $crate::message!(@body [$life] [$name<$life>] $($body)*);
    };
    (@body [$life:lifetime] [$self:ty]
        { $( $field:ident: $ty:ty [$($default:expr)?], $versions:expr, [$($nullable:expr)?] [$($cap:ident)?] [$($ignored:ident)?]; )* }
        { $( $tag:literal, $tag_field:ident: $tag_ty:ty [$($tag_default:expr)?], $tag_versions:expr, [$($tag_cap:ident)?] [$($tag_ignored:ident)?]; )* }
    ) => {
        const _: () = {
            use std::ops::RangeBounds;
            use $crate::reader::{DecodeError, Reader};
            use $crate::wire::{EncodeError, Version, Wire};
            $crate::message!(@wire [$life] [$self] {
                fn decode(from: &mut Reader<$life>, version: Version) -> Result<Self, DecodeError> {
                    let mut message = Self::default();
                    $( if RangeBounds::contains(&$versions, &version.number) {
                        $( from.cap_next($crate::reader::Cap::$cap); )?
                        message.$field = Wire::decode(from, version)?;
                        $( if message.$field.is_none() && !RangeBounds::contains(&$nullable, &version.number) {
                            return Err(DecodeError::UnexpectedNull);
                        } )?
                    } )*
                    if version.flexible {
                        from.tags(|_tag, _from| {
                            $( if _tag == $tag && RangeBounds::contains(&$tag_versions, &version.number) {
                                $( _from.cap_next($crate::reader::Cap::$tag_cap); )?
                                message.$tag_field = Wire::decode(_from, version)?;
                                return Ok(true);
                            } )*
                            Ok(false)
                        })?;
                    }
                    Ok(message)
                }
                fn encode(&self, into: &mut Vec<u8>, version: Version) -> Result<(), EncodeError> {
                    $( if RangeBounds::contains(&$versions, &version.number) {
                        $( if self.$field.is_none() && !RangeBounds::contains(&$nullable, &version.number) {
                            return Err(EncodeError::NullInVersion { field: stringify!($field), version: version.number });
                        } )?
                        self.$field.encode(into, version)?;
                    } else if $crate::message!(@strict $($ignored)?)
                        && $crate::wire::differs(&self.$field, &$crate::message!(@default $($default)?))
                    {
                        return Err(EncodeError::NotInVersion { field: stringify!($field), version: version.number });
                    } )*
                    let mut _tags = 0;
                    $( if $crate::wire::differs(&self.$tag_field, &$crate::message!(@default $($tag_default)?)) {
                        if RangeBounds::contains(&$tag_versions, &version.number) {
                            _tags += 1;
                        } else if $crate::message!(@strict $($tag_ignored)?) {
                            return Err(EncodeError::NotInVersion { field: stringify!($tag_field), version: version.number });
                        }
                    } )*
                    if version.flexible {
                        $crate::wire::put_uvarint(into, _tags);
                        $( if RangeBounds::contains(&$tag_versions, &version.number)
                            && $crate::wire::differs(&self.$tag_field, &$crate::message!(@default $($tag_default)?))
                        {
                            $crate::wire::put_tag(into, version, $tag, &self.$tag_field)?;
                        } )*
                    }
                    Ok(())
                }
                fn min_bytes(version: Version) -> usize {
                    let mut bytes = usize::from(version.flexible);
                    $( if RangeBounds::contains(&$versions, &version.number) {
                        bytes += <$ty as Wire<'_>>::min_bytes(version);
                    } )*
                    bytes
                }
                #[cfg(any(test, fuzzing))]
                fn sample(sampler: &mut $crate::sample::Sampler, version: Version) -> Self {
                    let mut message = Self::default();
                    $( if RangeBounds::contains(&$versions, &version.number) {
                        let _empty = sampler.empty;
                        $( sampler.empty &= RangeBounds::contains(&$nullable, &version.number); )?
                        message.$field = Wire::sample(sampler, version);
                        sampler.empty = _empty;
                    } )*
                    $( if RangeBounds::contains(&$tag_versions, &version.number) {
                        message.$tag_field = Wire::sample(sampler, version);
                    } )*
                    message
                }
            });
            // A structure that may be null has a byte before it: negative for null, else one.
            $crate::message!(@wire [$life] [Option<$self>] {
                fn decode(from: &mut Reader<$life>, version: Version) -> Result<Self, DecodeError> {
                    let present = i8::decode(from, version)? >= 0;
                    present.then(|| Wire::decode(from, version)).transpose()
                }
                fn encode(&self, into: &mut Vec<u8>, version: Version) -> Result<(), EncodeError> {
                    match self {
                        Some(message) => {
                            into.push(1);
                            message.encode(into, version)
                        }
                        None => (-1i8).encode(into, version),
                    }
                }
                fn min_bytes(_version: Version) -> usize {
                    1
                }
                #[cfg(any(test, fuzzing))]
                fn sample(sampler: &mut $crate::sample::Sampler, version: Version) -> Self {
                    (!sampler.empty).then(|| Wire::sample(sampler, version))
                }
            });
        };
    };
    (@wire ['_] [$self:ty] { $($body:tt)* }) => { impl Wire<'_> for $self { $($body)* } };
    (@wire [$life:lifetime] [$self:ty] { $($body:tt)* }) => { impl<$life> Wire<$life> for $self { $($body)* } };
}

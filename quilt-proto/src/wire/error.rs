//! Why received bytes are not a frame.

use core::fmt;

/// Why received bytes are not a packet or a frame. The machine drops them and counts the reason.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum DecodeError {
    /// The bytes end before what they announce.
    Truncated {
        /// How many are there.
        have: usize,
        /// How many are needed.
        need: usize,
    },
    /// The packet speaks another version of the format.
    UnknownVersion(u8),
    /// The packet uses a security suite, or a key epoch, that is not in use.
    UnknownSuite(u8),
    /// A frame of a kind that this version does not know. The frames behind it are readable.
    UnknownKind(u8),
    /// More bytes or entries than the kind allows.
    TooLong {
        /// How many there are.
        len: usize,
        /// How many are allowed.
        max: usize,
    },
    /// A field has a value that it cannot have; its name.
    BadValue(&'static str),
}

impl fmt::Display for DecodeError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match *self {
            Self::Truncated { have, need } => write!(f, "ends early: {have} of {need} bytes"),
            Self::UnknownVersion(version) => {
                write!(f, "wire format version {version}, only {} is known", super::VERSION)
            }
            Self::UnknownSuite(suite) => write!(f, "security suite {suite:#04x} is not in use"),
            Self::UnknownKind(kind) => write!(f, "unknown frame kind {kind:#04x}"),
            Self::TooLong { len, max } => write!(f, "{len} where at most {max} are allowed"),
            Self::BadValue(field) => write!(f, "impossible value in field {field}"),
        }
    }
}

impl core::error::Error for DecodeError {}

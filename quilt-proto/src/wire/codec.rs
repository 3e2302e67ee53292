//! Reading and writing the numbers and lists that frames consist of.

use super::DecodeError;
use alloc::vec::Vec;
use bytes::Bytes;

/// Takes values from the front of received bytes. Every method fails, and takes nothing, where the
/// bytes end too early.
#[derive(Clone, Debug)]
pub struct Reader<'a> {
    bytes: &'a Bytes,
    at: usize,
}

impl<'a> Reader<'a> {
    /// Reads from the start of `bytes`.
    pub fn new(bytes: &'a Bytes) -> Self {
        Self { bytes, at: 0 }
    }

    /// How many bytes are left.
    pub fn remaining(&self) -> usize {
        self.bytes.len().saturating_sub(self.at)
    }

    #[allow(missing_docs)]
    pub fn u8(&mut self) -> Result<u8, DecodeError> {
        Err(DecodeError::BadValue("stub"))
    }
}

/// Puts values behind each other, numbers in network byte order.
#[derive(Debug)]
pub struct Writer<'a> {
    bytes: &'a mut Vec<u8>,
}

impl<'a> Writer<'a> {
    /// Appends to `bytes`.
    pub fn new(bytes: &'a mut Vec<u8>) -> Self {
        Self { bytes }
    }

    #[allow(missing_docs)]
    pub fn u8(&mut self, value: u8) {
        self.bytes.push(value);
    }
}

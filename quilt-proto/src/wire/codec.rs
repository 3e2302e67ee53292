//! Reading and writing the numbers and lists that frames consist of.

use super::DecodeError;
use crate::Chunks;
use alloc::vec::Vec;
use bytes::Bytes;

/// Takes values from the front of received bytes.
///
/// A method fails where the bytes end too early or have no such value. What is left then starts
/// somewhere inside that value, so whoever reads a frame gives it up as a whole.
#[derive(Clone, Debug)]
pub struct Reader<'a> {
    /// What is read from, up to its end, then the first one behind it.
    chunk: &'a Bytes,
    at: usize,
    behind: &'a [Bytes],
    /// Bytes in front of `chunk`.
    passed: usize,
}

static NOTHING: Bytes = Bytes::new();

impl<'a> Reader<'a> {
    /// Reads from the start of `bytes`.
    pub fn new(bytes: &'a Bytes) -> Self {
        Self { chunk: bytes, at: 0, behind: &[], passed: 0 }
    }

    /// Reads from the start of bytes in several pieces.
    pub fn over(bytes: &'a Chunks) -> Self {
        let (chunk, behind) = bytes.chunks().split_first().unwrap_or((&NOTHING, &[]));
        Self { chunk, at: 0, behind, passed: 0 }
    }

    /// How many bytes are left.
    pub fn remaining(&self) -> usize {
        let here = self.chunk.len().saturating_sub(self.at);
        self.behind.iter().fold(here, |sum, chunk| sum.saturating_add(chunk.len()))
    }

    /// Checks that nothing is left.
    ///
    /// # Errors
    /// Bytes are left.
    pub fn finish(self) -> Result<(), DecodeError> {
        let max = self.passed.saturating_add(self.at);
        match self.remaining() {
            0 => Ok(()),
            left => Err(DecodeError::TooLong { len: max.saturating_add(left), max }),
        }
    }

    /// The next `len` bytes, shared with the received ones; copied only if they lie in several
    /// pieces.
    ///
    /// # Errors
    /// Fewer are left; nothing was taken.
    pub fn take(&mut self, len: usize) -> Result<Bytes, DecodeError> {
        self.need(len)?;
        while len > 0 && self.at == self.chunk.len() {
            self.step();
        }
        let end = self.at.saturating_add(len);
        if end <= self.chunk.len() {
            let taken = self.chunk.slice(self.at..end);
            self.at = end;
            return Ok(taken);
        }
        let mut copy = alloc::vec![0; len];
        self.fill(&mut copy);
        Ok(copy.into())
    }

    /// All bytes that are left, likewise.
    pub fn rest(&mut self) -> Bytes {
        self.take(self.remaining()).unwrap_or_default()
    }

    /// The next `N` bytes.
    ///
    /// # Errors
    /// Fewer are left; nothing was taken.
    pub fn array<const N: usize>(&mut self) -> Result<[u8; N], DecodeError> {
        let here = self.chunk.get(self.at..).and_then(<[u8]>::first_chunk);
        if let Some(&array) = here {
            self.at = self.at.saturating_add(N);
            return Ok(array);
        }
        self.need(N)?;
        let mut array = [0; N];
        self.fill(&mut array);
        Ok(array)
    }

    /// A byte.
    ///
    /// # Errors
    /// None is left.
    pub fn u8(&mut self) -> Result<u8, DecodeError> {
        self.array().map(u8::from_be_bytes)
    }

    /// A number of two bytes.
    ///
    /// # Errors
    /// Fewer are left; nothing was taken.
    pub fn u16(&mut self) -> Result<u16, DecodeError> {
        self.array().map(u16::from_be_bytes)
    }

    /// A number of four bytes.
    ///
    /// # Errors
    /// Fewer are left; nothing was taken.
    pub fn u32(&mut self) -> Result<u32, DecodeError> {
        self.array().map(u32::from_be_bytes)
    }

    /// A number of eight bytes.
    ///
    /// # Errors
    /// Fewer are left; nothing was taken.
    pub fn u64(&mut self) -> Result<u64, DecodeError> {
        self.array().map(u64::from_be_bytes)
    }

    /// A byte that is 0 or 1; `field` is what the error calls it.
    ///
    /// # Errors
    /// It is another one, or none is left.
    pub fn bool(&mut self, field: &'static str) -> Result<bool, DecodeError> {
        match self.u8()? {
            0 => Ok(false),
            1 => Ok(true),
            _ => Err(DecodeError::BadValue(field)),
        }
    }

    /// Bytes behind their length of two bytes, shared with the received ones.
    ///
    /// # Errors
    /// There are more than `max`, or fewer than announced.
    pub fn bytes(&mut self, max: usize) -> Result<Bytes, DecodeError> {
        let len = usize::from(self.u16()?);
        if len > max {
            return Err(DecodeError::TooLong { len, max });
        }
        self.take(len)
    }

    /// Entries behind their number of one byte, each read by `read`. An entry has at least one
    /// byte.
    ///
    /// # Errors
    /// There are more than `max`, which is checked before any is read, or one cannot be read.
    pub fn list<T, C: FromIterator<T>>(
        &mut self,
        max: usize,
        mut read: impl FnMut(&mut Self) -> Result<T, DecodeError>,
    ) -> Result<C, DecodeError> {
        let len = usize::from(self.u8()?);
        if len > max {
            return Err(DecodeError::TooLong { len, max });
        }
        if len > self.remaining() {
            return Err(DecodeError::Truncated { have: self.remaining(), need: len });
        }
        (0..len).map(|_| read(self)).collect()
    }

    /// Checks that `len` bytes are left.
    pub(super) fn need(&self, len: usize) -> Result<(), DecodeError> {
        let have = self.remaining();
        if len <= have { Ok(()) } else { Err(DecodeError::Truncated { have, need: len }) }
    }

    /// Goes on to the next piece, if there is one.
    fn step(&mut self) {
        if let Some((next, behind)) = self.behind.split_first() {
            self.passed = self.passed.saturating_add(self.chunk.len());
            (self.chunk, self.at, self.behind) = (next, 0, behind);
        }
    }

    /// Copies the next bytes, of which enough are left, from wherever they lie.
    fn fill(&mut self, to: &mut [u8]) {
        for byte in to {
            while self.at == self.chunk.len() && !self.behind.is_empty() {
                self.step();
            }
            *byte = self.chunk.get(self.at).copied().unwrap_or_default();
            self.at = self.at.saturating_add(1);
        }
    }
}

/// Puts values behind each other, numbers in network byte order. The counterpart of [`Reader`].
#[derive(Debug)]
pub struct Writer<'a> {
    bytes: &'a mut Vec<u8>,
}

impl<'a> Writer<'a> {
    /// Appends to `bytes`.
    pub fn new(bytes: &'a mut Vec<u8>) -> Self {
        Self { bytes }
    }

    /// Bytes as they are, without a length ([`Reader::take`], [`Reader::array`]).
    pub fn raw(&mut self, bytes: &[u8]) {
        self.bytes.extend_from_slice(bytes);
    }

    /// A byte.
    pub fn u8(&mut self, value: u8) {
        self.bytes.push(value);
    }

    /// A number of two bytes.
    pub fn u16(&mut self, value: u16) {
        self.raw(&value.to_be_bytes());
    }

    /// A number of four bytes.
    pub fn u32(&mut self, value: u32) {
        self.raw(&value.to_be_bytes());
    }

    /// A number of eight bytes.
    pub fn u64(&mut self, value: u64) {
        self.raw(&value.to_be_bytes());
    }

    /// A byte that is 0 or 1.
    pub fn bool(&mut self, value: bool) {
        self.u8(u8::from(value));
    }

    /// Bytes behind their length of two bytes. What is beyond `max` is a defect, and left out.
    pub fn bytes(&mut self, max: usize, bytes: &[u8]) {
        debug_assert!(bytes.len() <= max, "{} bytes, at most {max}", bytes.len());
        let len = u16::try_from(bytes.len().min(max)).unwrap_or(u16::MAX);
        self.u16(len);
        self.raw(bytes.get(..usize::from(len)).unwrap_or_default());
    }

    /// Entries behind their number of one byte, each written by `write`. What is beyond `max`, or
    /// 255, is a defect, and left out.
    pub fn list<I: ExactSizeIterator>(
        &mut self,
        max: usize,
        entries: impl IntoIterator<IntoIter = I>,
        mut write: impl FnMut(&mut Self, I::Item),
    ) {
        let entries = entries.into_iter();
        debug_assert!(entries.len() <= max, "{} entries, at most {max}", entries.len());
        let len = u8::try_from(entries.len().min(max)).unwrap_or(u8::MAX);
        self.u8(len);
        entries.take(usize::from(len)).for_each(|entry| write(self, entry));
    }

    /// How many bytes there are, those in front of the writer's own included.
    pub(super) fn len(&self) -> usize {
        self.bytes.len()
    }

    /// Takes back everything from byte `len` on.
    pub(super) fn truncate(&mut self, len: usize) {
        self.bytes.truncate(len);
    }

    /// Overwrites bytes that were written from `at` on.
    pub(super) fn overwrite(&mut self, at: usize, bytes: &[u8]) {
        for (to, from) in self.bytes.iter_mut().skip(at).zip(bytes) {
            *to = *from;
        }
    }
}
/// Fields one after the other. They must have `N` bytes together.
pub(super) fn pack<const N: usize>(fields: &[&[u8]]) -> [u8; N] {
    let mut packed = [0; N];
    let mut rest = &mut packed[..];
    for field in fields {
        let room = core::mem::take(&mut rest).split_at_mut_checked(field.len());
        debug_assert!(room.is_some(), "fields of more than {N} bytes");
        let Some((to, behind)) = room else { break };
        to.copy_from_slice(field);
        rest = behind;
    }
    debug_assert!(rest.is_empty(), "fields of less than {N} bytes");
    packed
}

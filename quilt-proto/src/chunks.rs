//! Bytes in several pieces.

use alloc::vec::Vec;
use bytes::{Bytes, BytesMut};
use core::mem;
use smallvec::SmallVec;

/// Bytes in one piece or in several, each shared with whoever else holds it: nothing is copied
/// before somebody wants all of it in one.
#[derive(Clone, Debug, Default)]
pub struct Chunks(SmallVec<[Bytes; 2]>);

impl Chunks {
    /// None, with room for so many.
    pub fn with_capacity(chunks: usize) -> Self {
        Self(SmallVec::with_capacity(chunks))
    }

    /// How many bytes there are.
    pub fn len(&self) -> usize {
        self.0.iter().fold(0, |sum, chunk| sum.saturating_add(chunk.len()))
    }

    /// Whether there are no bytes.
    pub fn is_empty(&self) -> bool {
        self.0.iter().all(Bytes::is_empty)
    }

    /// The pieces in order, without a copy.
    pub fn chunks(&self) -> &[Bytes] {
        &self.0
    }

    /// All of it in one piece; copies if there is more than one.
    pub fn into_bytes(mut self) -> Bytes {
        if let [only] = &mut self.0[..] {
            return mem::take(only);
        }
        let mut whole = BytesMut::with_capacity(self.len());
        self.0.iter().for_each(|chunk| whole.extend_from_slice(chunk));
        whole.freeze()
    }

    /// Puts a piece behind the others.
    pub fn push(&mut self, chunk: Bytes) {
        self.0.push(chunk);
    }

    /// Takes the first `len` bytes off, or all if there are fewer.
    pub fn split_to(&mut self, len: usize) -> Self {
        if let [only] = &mut self.0[..] {
            return only.split_to(len.min(only.len())).into();
        }
        let mut missing = len;
        let whole = self.0.iter().take_while(|chunk| {
            let left = missing.checked_sub(chunk.len());
            missing = left.unwrap_or(missing);
            left.is_some()
        });
        let mut head = Self(self.0.drain(..whole.count()).collect());
        if let Some(first) = self.0.first_mut().filter(|_| missing > 0) {
            head.push(first.split_to(missing));
        }
        head
    }
}

impl From<Bytes> for Chunks {
    fn from(bytes: Bytes) -> Self {
        Self(SmallVec::from_iter([bytes]))
    }
}

impl From<Vec<u8>> for Chunks {
    fn from(bytes: Vec<u8>) -> Self {
        Bytes::from(bytes).into()
    }
}

impl FromIterator<Bytes> for Chunks {
    fn from_iter<I: IntoIterator<Item = Bytes>>(chunks: I) -> Self {
        Self(chunks.into_iter().collect())
    }
}

impl Extend<Bytes> for Chunks {
    fn extend<I: IntoIterator<Item = Bytes>>(&mut self, chunks: I) {
        self.0.extend(chunks);
    }
}

impl IntoIterator for Chunks {
    type Item = Bytes;
    type IntoIter = smallvec::IntoIter<[Bytes; 2]>;

    fn into_iter(self) -> Self::IntoIter {
        self.0.into_iter()
    }
}

/// Two are equal if they have the same bytes, however these are cut.
impl PartialEq for Chunks {
    fn eq(&self, other: &Self) -> bool {
        self.len() == other.len() && self.0.iter().flatten().eq(other.0.iter().flatten())
    }
}

impl Eq for Chunks {}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::collection::vec;
    use proptest::prelude::*;

    fn chunks() -> impl Strategy<Value = Vec<Vec<u8>>> {
        vec(vec(any::<u8>(), 0..20), 0..6)
    }

    proptest! {
        #[test]
        fn taken_apart_anywhere_it_has_the_same_bytes(of in chunks(), lens in vec(0_usize..30, 0..8)) {
            let naive = of.concat();
            let mut rest: Chunks = of.into_iter().map(Bytes::from).collect();
            prop_assert_eq!(rest.len(), naive.len());
            prop_assert_eq!(rest.clone().into_bytes(), naive.clone());
            let mut got = Vec::new();
            for len in lens {
                let (had, head) = (rest.len(), rest.split_to(len));
                prop_assert_eq!(head.len(), len.min(had));
                prop_assert_eq!(rest.is_empty(), len >= had);
                got.extend(head.into_bytes());
            }
            got.extend(rest.into_bytes());
            prop_assert_eq!(got, naive);
        }

        #[test]
        fn equal_are_those_with_the_same_bytes(a in chunks(), b in chunks()) {
            let as_chunks = |of: &[Vec<u8>]| of.iter().cloned().map(Bytes::from).collect::<Chunks>();
            prop_assert_eq!(as_chunks(&a), Chunks::from(Bytes::from(a.concat())));
            prop_assert_eq!(as_chunks(&a) == as_chunks(&b), a.concat() == b.concat());
        }
    }

    #[test]
    fn what_is_taken_off_is_shared() {
        let (first, second) = (Bytes::from(alloc::vec![1; 10]), Bytes::from(alloc::vec![2; 10]));
        let mut rest = Chunks::from_iter([first.clone(), second.clone()]);
        let head = rest.split_to(14);
        let starts =
            |of: &Chunks| of.chunks().iter().map(|chunk| chunk.as_ptr()).collect::<Vec<_>>();
        assert_eq!(starts(&head), [first.as_ptr(), second.as_ptr()]);
        assert_eq!(starts(&rest), [second.slice(4..).as_ptr()]);
    }
}

//! A sorted map that is cheap to clone and cheap to change afterwards.
//!
//! Entries lie in chunks, and the chunks are shared between clones until one of them writes. A clone copies one
//! pointer; the first change after it copies the list of chunks and the one chunk it touches.

use std::borrow::Borrow;
use std::ops::Bound;
use std::rc::Rc;

/// A chunk that has grown past this is cut in two.
const CHUNK_ENTRIES_MAX: usize = 128;

/// Entries that clones share until one of them writes.
type Chunk<K, V> = Rc<Vec<(K, V)>>;

/// Keys in ascending order, each with its value.
#[derive(Debug, Clone)]
pub(crate) struct SortedMap<K, V> {
    /// No chunk is empty, and every key of one is below every key of the next.
    chunks: Rc<Vec<Chunk<K, V>>>,
    len: usize,
}

impl<K, V> Default for SortedMap<K, V> {
    fn default() -> Self {
        Self { chunks: Rc::default(), len: 0 }
    }
}

impl<K: Ord + Clone, V: Clone> SortedMap<K, V> {
    pub(crate) fn len(&self) -> usize {
        self.len
    }

    pub(crate) fn get<Q: Ord + ?Sized>(&self, key: &Q) -> Option<&V>
    where
        K: Borrow<Q>,
    {
        let chunk = self.chunks.get(self.chunk_of(key)?)?;
        let at = chunk.binary_search_by(|(held, _)| held.borrow().cmp(key)).ok()?;
        chunk.get(at).map(|(_, value)| value)
    }

    pub(crate) fn get_mut<Q: Ord + ?Sized>(&mut self, key: &Q) -> Option<&mut V>
    where
        K: Borrow<Q>,
    {
        let place = self.chunk_of(key)?;
        let at =
            self.chunks.get(place)?.binary_search_by(|(held, _)| held.borrow().cmp(key)).ok()?;
        let chunk = Rc::make_mut(&mut self.chunks).get_mut(place)?;
        Rc::make_mut(chunk).get_mut(at).map(|(_, value)| value)
    }

    /// Puts `value` under `key` and gives back what stood there.
    pub(crate) fn insert(&mut self, key: K, value: V) -> Option<V> {
        let place = self.chunk_of(&key);
        let chunks = Rc::make_mut(&mut self.chunks);
        let Some(place) = place else {
            chunks.push(Rc::new(vec![(key, value)]));
            self.len += 1;
            return None;
        };
        let chunk = Rc::make_mut(&mut chunks[place]);
        match chunk.binary_search_by(|(held, _)| held.cmp(&key)) {
            Ok(at) => Some(std::mem::replace(&mut chunk[at].1, value)),
            Err(at) => {
                chunk.insert(at, (key, value));
                self.len += 1;
                if chunk.len() > CHUNK_ENTRIES_MAX {
                    let upper = chunk.split_off(chunk.len() / 2);
                    chunks.insert(place + 1, Rc::new(upper));
                }
                None
            }
        }
    }

    pub(crate) fn remove<Q: Ord + ?Sized>(&mut self, key: &Q) -> Option<V>
    where
        K: Borrow<Q>,
    {
        let place = self.chunk_of(key)?;
        let at =
            self.chunks.get(place)?.binary_search_by(|(held, _)| held.borrow().cmp(key)).ok()?;
        let chunks = Rc::make_mut(&mut self.chunks);
        let chunk = Rc::make_mut(&mut chunks[place]);
        let (_, value) = chunk.remove(at);
        if chunk.is_empty() {
            chunks.remove(place);
        }
        self.len -= 1;
        Some(value)
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = (&K, &V)> {
        self.chunks.iter().flat_map(|chunk| chunk.iter()).map(|(key, value)| (key, value))
    }

    /// The entries from `start` on, in order.
    pub(crate) fn iter_from<Q: Ord + ?Sized>(
        &self,
        start: Bound<&Q>,
    ) -> impl Iterator<Item = (&K, &V)>
    where
        K: Borrow<Q>,
    {
        let below = |key: &K| match start {
            Bound::Included(start) => key.borrow() < start,
            Bound::Excluded(start) => key.borrow() <= start,
            Bound::Unbounded => false,
        };
        let whole =
            self.chunks.partition_point(|chunk| chunk.last().is_some_and(|(key, _)| below(key)));
        let skipped =
            self.chunks.get(whole).map_or(0, |chunk| chunk.partition_point(|(key, _)| below(key)));
        self.chunks
            .iter()
            .skip(whole)
            .flat_map(|chunk| chunk.iter())
            .skip(skipped)
            .map(|(key, value)| (key, value))
    }

    /// The chunk that holds `key` if any does: the last one that does not begin after it, or the first.
    fn chunk_of<Q: Ord + ?Sized>(&self, key: &Q) -> Option<usize>
    where
        K: Borrow<Q>,
    {
        if self.chunks.is_empty() {
            return None;
        }
        let after = self
            .chunks
            .partition_point(|chunk| chunk.first().is_some_and(|(first, _)| first.borrow() <= key));
        Some(after.saturating_sub(1))
    }
}

impl<K: Ord + Clone, V: Clone + PartialEq> PartialEq for SortedMap<K, V> {
    /// Equal if the entries are, however they are cut into chunks.
    fn eq(&self, other: &Self) -> bool {
        self.len == other.len && self.iter().eq(other.iter())
    }
}

impl<K: Ord + Clone, V: Clone + Eq> Eq for SortedMap<K, V> {}

#[cfg(test)]
mod tests;

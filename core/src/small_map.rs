//! A map for a few entries: a sorted list that has room for one at first. Most channels have one address and one connection, and a tree
//! keeps room for eleven.

/// A map in the order of its keys. Inserting and removing move what lies behind.
#[derive(Debug)]
pub(crate) struct SmallMap<K, V>(Vec<(K, V)>);

impl<K, V> Default for SmallMap<K, V> {
    fn default() -> Self {
        Self(Vec::new())
    }
}

impl<K: Ord + Copy, V> SmallMap<K, V> {
    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    pub(crate) fn get(&self, key: K) -> Option<&V> {
        let at = self.place(key).ok()?;
        Some(&self.0[at].1)
    }

    pub(crate) fn get_mut(&mut self, key: K) -> Option<&mut V> {
        let at = self.place(key).ok()?;
        Some(&mut self.0[at].1)
    }

    /// What was there before is dropped.
    pub(crate) fn insert(&mut self, key: K, value: V) {
        match self.place(key) {
            Ok(at) => self.0[at].1 = value,
            Err(at) => {
                if self.0.is_empty() {
                    self.0.reserve_exact(1);
                }
                self.0.insert(at, (key, value));
            }
        }
    }

    pub(crate) fn remove(&mut self, key: K) -> Option<V> {
        let at = self.place(key).ok()?;
        Some(self.0.remove(at).1)
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = (K, &V)> {
        self.0.iter().map(|(key, value)| (*key, value))
    }

    pub(crate) fn iter_mut(&mut self) -> impl Iterator<Item = (K, &mut V)> {
        self.0.iter_mut().map(|(key, value)| (*key, value))
    }

    /// Every entry, and nothing is left.
    pub(crate) fn take_all(&mut self) -> impl Iterator<Item = (K, V)> + use<K, V> {
        std::mem::take(&mut self.0).into_iter()
    }

    /// Where the key is, or belongs.
    fn place(&self, key: K) -> Result<usize, usize> {
        self.0.binary_search_by_key(&key, |(key, _)| *key)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entries(map: &SmallMap<u64, char>) -> Vec<(u64, char)> {
        map.iter().map(|(key, value)| (key, *value)).collect()
    }

    #[test]
    fn it_keeps_the_order_of_its_keys_and_one_value_for_each() {
        let mut map = SmallMap::default();
        for (key, value) in [(7, 'a'), (2, 'b'), (9, 'c'), (2, 'd')] {
            map.insert(key, value);
        }
        assert_eq!(entries(&map), [(2, 'd'), (7, 'a'), (9, 'c')]);
        assert_eq!((map.get(7), map.get(8)), (Some(&'a'), None));
        *map.get_mut(9).expect("there") = 'e';
        assert_eq!((map.remove(7), map.remove(7)), (Some('a'), None));
        assert_eq!(entries(&map), [(2, 'd'), (9, 'e')]);
        assert_eq!(map.take_all().collect::<Vec<_>>(), [(2, 'd'), (9, 'e')]);
        assert!(map.is_empty());
    }

    #[test]
    fn one_entry_takes_the_room_of_one() {
        let mut map = SmallMap::default();
        map.insert(1_u64, 'a');
        assert_eq!(map.0.capacity(), 1);
    }
}

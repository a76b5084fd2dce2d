//! A Bloom filter of attribute keys.

/// A Bloom filter with one hash function. False positives are possible, false negatives are not.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct KeySet([u64; 4]);

impl KeySet {
    #[inline]
    pub(crate) const fn of(key: &str) -> Self {
        let mut words = [0; 4];
        if !key.is_empty() {
            let (word, bit) = Self::place(key);
            words[word] = bit;
        }
        Self(words)
    }

    /// Returns the index of the word of a key, and the key's bit in it. The key must not be empty.
    ///
    /// The last two bytes distinguish numbered keys. One multiplication takes fewer instructions than hashing each
    /// byte, and the factor was chosen for the fewest collisions among the names of common attributes.
    #[inline]
    const fn place(key: &str) -> (usize, u64) {
        let bytes = key.as_bytes();
        let (before_last, last) = (bytes[bytes.len().saturating_sub(2)], bytes[bytes.len() - 1]);
        #[expect(clippy::cast_possible_truncation, reason = "only the low bits of the length are hashed")]
        let sample = [bytes[0], before_last, last, bytes.len() as u8];
        let hash = u32::from_le_bytes(sample).wrapping_mul(0xa185_4ef3) >> 24;
        ((hash >> 6) as usize, 1 << (hash & 63))
    }

    /// Adds a key, which must not be empty. Returns `true` if it was certainly not in the set.
    #[inline]
    pub(super) fn insert(&mut self, key: &str) -> bool {
        let (word, bit) = Self::place(key);
        let word = &mut self.0[word & 3];
        let is_new = *word & bit == 0;
        *word |= bit;
        is_new
    }

    /// Converts the set to bytes.
    pub(crate) fn to_bytes(self) -> [u8; Self::BYTES] {
        let mut bytes = [0; Self::BYTES];
        for (word, bytes) in self.0.iter().zip(bytes.chunks_exact_mut(8)) {
            bytes.copy_from_slice(&word.to_le_bytes());
        }
        bytes
    }

    #[inline]
    pub(crate) fn from_bytes(bytes: &[u8; Self::BYTES]) -> Self {
        let mut words = [0; 4];
        for (word, bytes) in words.iter_mut().zip(bytes.chunks_exact(8)) {
            *word = bytes.iter().rev().fold(0, |word, byte| word << 8 | u64::from(*byte));
        }
        Self(words)
    }

    pub(crate) const BYTES: usize = 32;

    #[inline]
    pub(crate) const fn and(self, other: Self) -> Self {
        let (a, b) = (self.0, other.0);
        Self([a[0] | b[0], a[1] | b[1], a[2] | b[2], a[3] | b[3]])
    }

    #[inline]
    pub(crate) const fn overlaps(self, other: Self) -> bool {
        let (a, b) = (self.0, other.0);
        (a[0] & b[0]) | (a[1] & b[1]) | (a[2] & b[2]) | (a[3] & b[3]) != 0
    }

    #[inline]
    pub(crate) fn add(&mut self, other: Self) {
        *self = self.and(other);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::semconv;

    #[test]
    fn numbered_keys_and_the_keys_of_every_span_do_not_collide() {
        let code = [semconv::CODE_FUNCTION_NAME, semconv::CODE_FILE_PATH, semconv::CODE_LINE_NUMBER];
        for prefix in ["t", "tag_", "item."] {
            let mut keys = KeySet::default();
            let numbered = (0..32).map(|number| format!("{prefix}{number}"));
            for key in code.into_iter().map(str::to_owned).chain(numbered) {
                assert!(keys.insert(&key), "`{key}` collides with another key");
                assert!(!keys.insert(&key) && keys.overlaps(KeySet::of(&key)));
            }
            assert_eq!(KeySet::from_bytes(&keys.to_bytes()), keys);
        }
    }

    #[test]
    fn a_set_has_each_key_of_any_length() {
        let long = "k".repeat(0x10000);
        for key in ["k", "kk", &long[..0x100], &long[..0x101], &long, "ü"] {
            let mut keys = KeySet::default();
            assert!(!keys.overlaps(KeySet::of(key)) && keys.insert(key));
            assert!(keys.overlaps(KeySet::of(key)));
        }
        assert_eq!(KeySet::of(""), KeySet::default());
    }
}

//! What becomes of a value that must not be seen: a keyed hash, or a mask.

use std::fmt::Write as _;
use std::hash::{BuildHasher, Hasher, RandomState};
use std::sync::OnceLock;

use siphasher::sip128::{Hasher128, SipHasher24};

static KEY: OnceLock<[u8; 16]> = OnceLock::new();

/// Sets the 128-bit secret under which `hash(…)` tags are hashed.
///
/// Give every service the same secret and a user has the same hash in all of them. Without a call
/// the key is random and lives as long as the process, so hashes only match within one process.
///
/// # Errors
///
/// Gives the key back if there is one already: it was set before, or a tag was hashed before.
pub fn set_hash_key(key: [u8; 16]) -> Result<(), [u8; 16]> {
    KEY.set(key)
}

/// SipHash-2-4 with 128 bits of output, as 32 hexadecimal digits: a keyed pseudo-random function,
/// which cannot be reversed, nor tried out, without the key.
pub(crate) fn hash(clear: &str) -> String {
    let key = KEY.get_or_init(|| {
        // Each `RandomState` is keyed from the operating system's random numbers.
        let random = || RandomState::new().build_hasher().finish().to_le_bytes();
        let mut key = [0; 16];
        key[..8].copy_from_slice(&random());
        key[8..].copy_from_slice(&random());
        key
    });
    let mut hasher = SipHasher24::new_with_key(key);
    hasher.write(clear.as_bytes());
    // The order of the bytes is that of the reference implementation.
    let bytes = hasher.finish128().as_bytes();
    bytes.iter().fold(String::with_capacity(32), |mut hex, byte| {
        let _ = write!(hex, "{byte:02x}");
        hex
    })
}

/// All but the last four characters become `*`; a text of four or fewer is masked whole.
pub(crate) fn mask(clear: &str) -> String {
    let length = clear.chars().count();
    let hidden = if length > 4 { length - 4 } else { length };
    clear.chars().enumerate().map(|(at, c)| if at < hidden { '*' } else { c }).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_mask_leaves_four_characters() {
        assert_eq!(mask("13800138000"), "*******8000");
        assert_eq!(mask("éèêëà"), "*èêëà");
        assert_eq!(mask("1234"), "****");
        assert_eq!(mask(""), "");
    }

    #[test]
    fn a_hash_depends_on_the_text_and_is_stable() {
        assert_eq!(hash("u-1"), hash("u-1"));
        assert_ne!(hash("u-1"), hash("u-2"));
        assert_eq!(hash("u-1").len(), 32);
        assert_eq!(set_hash_key([0; 16]), Err([0; 16]), "the key is fixed once a tag was hashed");
    }
}

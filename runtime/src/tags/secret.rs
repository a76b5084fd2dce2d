//! Hiding sensitive tag values: a keyed hash, or a mask.

use std::hash::{BuildHasher, Hasher, RandomState};
use std::sync::OnceLock;

use opentelemetry::{Array, StringValue, Value};
use siphasher::sip128::{Hasher128, SipHasher24};

use crate::tags::value::{MAX_LIST_LEN, MAX_TEXT_BYTES};

static KEY: OnceLock<[u8; 16]> = OnceLock::new();

/// Sets the 128-bit secret key for tags marked `hash(…)`.
///
/// Use the same key in every service to get the same hash for the same value everywhere. By default, the key is
/// random and lasts for the lifetime of the process, so hashes can be compared within that process only.
///
/// # Errors
///
/// Returns `key` if a key is already in use, because it was set before, or because a tag has already been hashed.
///
/// ```
/// # fn key_of_this_environment() -> [u8; 16] { [7; 16] }
/// // At the start of `main`.
/// throughline::set_hash_key(key_of_this_environment()).expect("no key is in use yet");
/// ```
pub fn set_hash_key(key: [u8; 16]) -> Result<(), [u8; 16]> {
    KEY.set(key)
}

/// Replaces a value by its hidden form. Lists are hidden element by element, so that single elements can be searched
/// for.
pub(crate) fn hidden(value: &Value, hide: fn(&str) -> String) -> Value {
    let list = |texts: &mut dyn Iterator<Item = String>| {
        // Limits the length of the list. Elements are truncated only after they have been hidden.
        let hidden = texts.take(MAX_LIST_LEN).map(|text| StringValue::from(hide(&text)));
        Value::Array(Array::String(hidden.collect()))
    };
    match value {
        Value::Array(Array::String(texts)) => list(&mut texts.iter().map(ToString::to_string)),
        Value::Array(Array::I64(ints)) => list(&mut ints.iter().map(ToString::to_string)),
        Value::Array(Array::F64(floats)) => list(&mut floats.iter().map(ToString::to_string)),
        Value::Array(Array::Bool(bools)) => list(&mut bools.iter().map(ToString::to_string)),
        value => hide(&value.as_str()).into(),
    }
}

/// SipHash-2-4 with 128 bits of output, as 32 hexadecimal digits. A keyed pseudorandom function: without the key,
/// values can neither be recovered nor guessed by trial.
pub(crate) fn hash(clear: &str) -> String {
    let key = KEY.get_or_init(|| {
        // The keys of `RandomState` come from the operating system's random numbers, and no two instances share them.
        let random = || u128::from(RandomState::new().build_hasher().finish());
        (random() << 64 | random()).to_le_bytes()
    });
    let mut hasher = SipHasher24::new_with_key(key);
    hasher.write(clear.as_bytes());
    // The byte order of the reference implementation.
    format!("{:032x}", u128::from_be_bytes(hasher.finish128().as_bytes()))
}

/// The number of trailing characters that a mask leaves visible.
const SHOWN: usize = 4;

/// Shorter texts are masked completely, because four characters would reveal too much of them.
const MASKED_WHOLE_BELOW: usize = 10;

/// Replaces all but the last four characters by `*`, or all of them if there are fewer than ten. The input may be of
/// any length; the output is truncated.
pub(crate) fn mask(clear: &str) -> String {
    let length = clear.chars().count();
    let shown = if length < MASKED_WHOLE_BELOW { 0 } else { SHOWN };
    let last = clear.char_indices().rev().take(shown).last().map_or("", |(at, _)| &clear[at..]);
    let stars = (length - shown).min(MAX_TEXT_BYTES - last.len());
    "*".repeat(stars) + last
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_mask_leaves_four_characters_of_a_long_text() {
        assert_eq!(mask("13800138000"), "*******8000");
        assert_eq!(mask("1234567890"), "******7890");
        assert_eq!(mask("éèêëàéèêëà"), "******èêëà");
        for short in ["", "1", "1234", "12345", "123456789"] {
            assert_eq!(mask(short), "*".repeat(short.len()));
        }
    }

    #[test]
    fn a_mask_is_bounded_and_shows_the_end() {
        let masked = mask(&format!("{}1234", "x".repeat(100_000)));
        assert_eq!(masked.len(), MAX_TEXT_BYTES);
        assert!(masked.starts_with("****") && masked.ends_with("*1234"));
    }

    #[test]
    fn the_elements_of_a_list_are_hidden_one_by_one() {
        let phones = Value::Array(Array::String(vec!["13800138000".into(), "1234".into()]));
        assert_eq!(hidden(&phones, mask), Value::Array(Array::String(vec!["*******8000".into(), "****".into()])));
        let users = hidden(&Value::Array(Array::I64(vec![7; 1000])), hash);
        assert_eq!(users, Value::Array(Array::String(vec![hash("7").into(); MAX_LIST_LEN])));
        for (list, element) in [(Array::F64(vec![0.5]), "0.5"), (Array::Bool(vec![true]), "true")] {
            assert_eq!(hidden(&Value::Array(list), hash), Value::Array(Array::String(vec![hash(element).into()])));
        }
    }

    #[test]
    fn a_hash_depends_on_the_text_and_is_stable() {
        assert_eq!(hash("u-1"), hash("u-1"));
        assert_ne!(hash("u-1"), hash("u-2"));
        assert_eq!(hash("u-1").len(), 32);
        let (low, high) = KEY.get().expect("a tag has been hashed").split_at(8);
        assert!(low != [0; 8] && high != [0; 8] && low != high, "both halves of the key are random");
        assert_eq!(set_hash_key([0; 16]), Err([0; 16]), "the key is fixed once a tag has been hashed");
    }
}

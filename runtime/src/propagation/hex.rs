//! Hexadecimal numbers as the trace headers have them: lower case, digits only, no sign.

/// Reads up to 32 digits. `u128::from_str_radix` would also take a sign and upper case.
pub(super) fn parse(digits: &[u8]) -> Option<u128> {
    if digits.is_empty() || digits.len() > 32 {
        return None;
    }
    digits.iter().try_fold(0u128, |number, digit| {
        let value = match digit {
            b'0'..=b'9' => digit - b'0',
            b'a'..=b'f' => digit - b'a' + 10,
            _ => return None,
        };
        Some(number << 4 | u128::from(value))
    })
}

/// The same for numbers of 16 digits at most.
pub(super) fn parse_u64(digits: &[u8]) -> Option<u64> {
    if digits.len() > 16 {
        return None;
    }
    parse(digits).and_then(|number| u64::try_from(number).ok())
}

pub(super) fn parse_u8(digits: &[u8]) -> Option<u8> {
    if digits.len() != 2 {
        return None;
    }
    parse(digits).and_then(|number| u8::try_from(number).ok())
}

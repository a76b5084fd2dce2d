//! Hexadecimal numbers. Unlike the standard library's `from_str_radix`, this does not accept a sign.

/// Parses up to 32 digits in either case.
pub(crate) fn parse(digits: impl IntoIterator<Item = u8>) -> Option<u128> {
    let mut length = 0;
    let number = digits.into_iter().try_fold(0, |number, digit| {
        length += 1;
        Some(number << 4 | u128::from(char::from(digit).to_digit(16)?))
    })?;
    (1..=32).contains(&length).then_some(number)
}

/// Parses lowercase digits, as in trace headers: at most as many as fit into a `T`.
#[cfg(feature = "propagation")]
pub(crate) fn parse_lower<T: TryFrom<u128>>(digits: &[u8]) -> Option<T> {
    if digits.len() > 2 * size_of::<T>() || digits.iter().any(u8::is_ascii_uppercase) {
        return None;
    }
    T::try_from(parse(digits.iter().copied())?).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_digits_are_accepted() {
        let parse = |digits: &[u8]| parse(digits.iter().copied());
        assert_eq!(parse(b"0aF"), Some(0xaf));
        assert_eq!(parse(&[b'f'; 32]), Some(u128::MAX));
        for wrong in [&b""[..], b"+1", b"-1", b" 1", b"1_0", b"0x1", b"g", b"\xff", &[b'0'; 33]] {
            assert_eq!(parse(wrong), None, "{wrong:?}");
        }
    }

    #[cfg(feature = "propagation")]
    #[test]
    fn lowercase_digits_that_fit_are_accepted() {
        assert_eq!(parse_lower(b"af"), Some(0xaf_u8));
        assert_eq!(parse_lower::<u8>(b"aF"), None);
        assert_eq!(parse_lower::<u8>(b"0af"), None);
        assert_eq!(parse_lower::<u64>(b""), None);
        assert_eq!(parse_lower(&[b'f'; 16]), Some(u64::MAX));
        assert_eq!(parse_lower::<u64>(&[b'0'; 17]), None);
    }
}

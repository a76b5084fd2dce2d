//! The `code.*` attributes of a function, encoded at compile time.

use std::panic::Location;

use super::keys::KeySet;
use super::reader::{Reader, key};
use super::wire::{any_value, key_value, span};
use crate::semconv;

/// If names and paths are longer, the attributes are encoded for each span.
const CAPACITY: usize = 256;

/// The name of a span and `code.*`, as fields of the message `Span`.
#[derive(Debug)]
pub(crate) struct CodeAttributes {
    name: &'static str,
    bytes: [u8; CAPACITY],
    /// The offset of the attributes, after the name.
    start: usize,
    len: usize,
    count: u32,
}

impl CodeAttributes {
    /// All keys that may be present.
    pub(crate) const KEYS: [&str; 3] =
        [semconv::CODE_FUNCTION_NAME, semconv::CODE_FILE_PATH, semconv::CODE_LINE_NUMBER];

    pub(crate) const KEY_SET: KeySet =
        KeySet::of(Self::KEYS[0]).and(KeySet::of(Self::KEYS[1])).and(KeySet::of(Self::KEYS[2]));

    /// No attributes.
    pub(crate) const NONE: Self = Self { name: "", bytes: [0; CAPACITY], start: 0, len: 0, count: 0 };

    /// Encodes the attributes of a function whose span has this name. Returns none if they are too long.
    pub(crate) const fn new(name: &'static str, function: &str, place: &Location<'_>) -> Self {
        let file = place.file();
        let text = [semconv::CODE_FUNCTION_NAME.len() + function.len(), semconv::CODE_FILE_PATH.len() + file.len()];
        // Every length has to fit into one byte. Eight bytes are field tags and lengths, and at most five the line
        // number.
        let len = 2 + name.len() + 8 + text[0] + 8 + text[1] + 7 + semconv::CODE_LINE_NUMBER.len() + 5;
        if name.len() >= 0x80 || text[0] + 8 >= 0x80 || text[1] + 8 >= 0x80 || len > CAPACITY {
            return Self::NONE;
        }
        let mut code = Self::NONE;
        code.put_name(name);
        code.put_text(semconv::CODE_FUNCTION_NAME, function);
        code.put_text(semconv::CODE_FILE_PATH, file);
        code.put_number(semconv::CODE_LINE_NUMBER, place.line());
        code
    }

    /// Encodes the attributes of a location without a function, whose span has this name. Returns none if the path is
    /// too long.
    #[cfg(feature = "tracing")]
    pub(crate) fn at(name: &'static str, file: &str, line: u32) -> Self {
        let text = semconv::CODE_FILE_PATH.len() + file.len();
        if text + 8 >= 0x80 {
            return Self::NONE;
        }
        let len = 8 + text + 7 + semconv::CODE_LINE_NUMBER.len() + 5;
        let mut code = Self::NONE;
        if name.len() < 0x80 && 2 + name.len() + len <= CAPACITY {
            code.put_name(name);
        }
        code.put_text(semconv::CODE_FILE_PATH, file);
        code.put_number(semconv::CODE_LINE_NUMBER, line);
        code
    }

    #[inline]
    pub(crate) fn bytes(&self) -> &[u8] {
        &self.bytes[self.start..self.len]
    }

    /// Returns the name and the attributes, for a span whose name has not changed.
    #[inline]
    pub(crate) fn with_name(&self, name: &str) -> Option<&[u8]> {
        std::ptr::eq(name, self.name).then(|| &self.bytes[..self.len])
    }

    /// Returns the number of attributes.
    #[inline]
    pub(crate) fn count(&self) -> u32 {
        self.count
    }

    /// Returns the keys of the attributes that are present.
    #[inline]
    pub(crate) fn keys(&self) -> KeySet {
        if self.count > 0 { Self::KEY_SET } else { KeySet::default() }
    }

    pub(crate) fn has(&self, wanted: &str) -> bool {
        self.keys().overlaps(KeySet::of(wanted))
            && Reader::new(self.bytes()).any(|(_, field)| key(field.bytes) == wanted.as_bytes())
    }

    /// Writes the attributes, except those whose keys are set.
    pub(crate) fn put_without(&self, out: &mut Vec<u8>, is_set: impl Fn(&str) -> bool) {
        let (mut reader, mut start) = (Reader::new(self.bytes()), self.start);
        while let Some(field) = reader.field() {
            let end = self.len - reader.left();
            if !std::str::from_utf8(key(field.bytes)).is_ok_and(&is_set) {
                out.extend_from_slice(&self.bytes[start..end]);
            }
            start = end;
        }
    }

    const fn put(&mut self, byte: usize) {
        assert!(byte < 0x100, "every length fits into a byte");
        #[expect(clippy::cast_possible_truncation, reason = "just checked; `try_from` is not `const`")]
        let byte = byte as u8;
        self.bytes[self.len] = byte;
        self.len += 1;
    }

    const fn put_all(&mut self, text: &str) {
        let (bytes, mut at) = (text.as_bytes(), 0);
        while at < bytes.len() {
            self.put(bytes[at] as usize);
            at += 1;
        }
    }

    /// Writes the name, which comes before the attributes.
    const fn put_name(&mut self, name: &'static str) {
        self.name = name;
        self.put(span::NAME as usize);
        self.put(name.len());
        self.put_all(name);
        self.start = self.len;
    }

    const fn put_key(&mut self, key: &str, value_len: usize) {
        self.put(span::ATTRIBUTES as usize);
        self.put(2 + key.len() + 2 + value_len);
        self.put(key_value::KEY as usize);
        self.put(key.len());
        self.put_all(key);
        self.put(key_value::VALUE as usize);
        self.put(value_len);
        self.count += 1;
    }

    const fn put_text(&mut self, key: &str, value: &str) {
        self.put_key(key, 2 + value.len());
        self.put(any_value::STRING as usize);
        self.put(value.len());
        self.put_all(value);
    }

    const fn put_number(&mut self, key: &str, value: u32) {
        let (mut len, mut rest) = (1, value >> 7);
        while rest > 0 {
            len += 1;
            rest >>= 7;
        }
        self.put_key(key, 1 + len);
        self.put(any_value::INT as usize);
        rest = value;
        while rest >= 0x80 {
            self.put((rest & 0x7f | 0x80) as usize);
            rest >>= 7;
        }
        self.put(rest as usize);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::encoding::fields::{Fields, Limits};

    #[test]
    fn the_encoding_is_the_same_as_at_run_time() {
        const CODE: CodeAttributes = CodeAttributes::new("place", "orders::place", Location::caller());
        let limits = Limits::default();
        let mut fields = Fields::new(limits);
        let place = Location::caller();
        fields.set(semconv::CODE_FUNCTION_NAME, &"orders::place".into());
        fields.set(semconv::CODE_FILE_PATH, &place.file().into());
        fields.set(semconv::CODE_LINE_NUMBER, &i64::from(place.line() - 3).into());
        assert_eq!(CODE.bytes(), fields.bytes());
        let named = [b"\x2a\x05place", fields.bytes()].concat();
        assert_eq!(CODE.with_name(CODE.name), Some(&named[..]));
        assert_eq!(CODE.with_name("another"), None);
        assert_eq!(CODE.count(), fields.attributes.kept);
    }

    #[test]
    fn attributes_that_are_too_long_are_not_encoded() {
        let name = "x".repeat(200);
        assert_eq!(CodeAttributes::new("", &name, Location::caller()).count(), 0);
        let name: &str = Box::leak("x".repeat(100).into_boxed_str());
        // Each fits, but not both.
        assert_eq!(CodeAttributes::new(name, name, Location::caller()).count(), 0);
    }

    fn text(len: usize) -> &'static str {
        Box::leak("x".repeat(len).into_boxed_str())
    }

    #[test]
    fn the_longest_function_is_encoded() {
        for (len, count) in [(101, 3), (102, 0)] {
            assert_eq!(CodeAttributes::new("", text(len), Location::caller()).count(), count, "{len}");
        }
        for (len, count) in [(127, 3), (128, 0)] {
            assert_eq!(CodeAttributes::new(text(len), "", Location::caller()).count(), count, "{len}");
        }
    }

    #[cfg(feature = "tracing")]
    #[test]
    fn the_longest_path_is_encoded_and_the_name_if_there_is_room() {
        for (path, name, has_name) in [
            (10, 0, true),
            (10, 127, true),
            (10, 128, false),
            (77, 127, true),
            (78, 127, false),
            (78, 126, true),
            (105, 99, true),
            (105, 100, false),
            (105, 1000, false),
        ] {
            for line in [1, 127, 128, 16_383, 16_384, u32::MAX] {
                let (path, name) = (text(path), text(name));
                let code = CodeAttributes::at(name, path, line);
                let mut fields = Fields::new(Limits::default());
                fields.set(semconv::CODE_FILE_PATH, &path.into());
                fields.set(semconv::CODE_LINE_NUMBER, &i64::from(line).into());
                assert_eq!((code.bytes(), code.count()), (fields.bytes(), 2));
                let named = [&[0x2a, u8::try_from(name.len()).unwrap_or(0)], name.as_bytes(), fields.bytes()].concat();
                assert_eq!(code.with_name(name), has_name.then_some(&named[..]), "{} {}", path.len(), name.len());
            }
        }
        assert_eq!(CodeAttributes::at("", text(106), 1).count(), 0);
    }
}

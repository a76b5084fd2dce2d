//! Formats tags as `key=value`, for humans and for programs that split lines at spaces.

use std::fmt::{self, Display, Write};

use opentelemetry::{Array, Value};

use super::escape::{needs_escape, write_escaped};

/// Text as a single word: quoted, with quotes and backslashes escaped, if it would be ambiguous otherwise.
pub(crate) struct Word<'a>(pub(crate) &'a str);

impl Display for Word<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let needs_quotes = |c: char| c.is_whitespace() || needs_escape(c) || matches!(c, '"' | '=' | '\\');
        if !self.0.is_empty() && !self.0.contains(needs_quotes) {
            return f.write_str(self.0);
        }
        f.write_char('"')?;
        write_escaped(f, self.0, |c| needs_escape(c) || matches!(c, '"' | '\\'))?;
        f.write_char('"')
    }
}

/// The value of a tag as one word, or as a list of words.
pub(crate) struct QuotedValue<'a>(pub(crate) &'a Value);

impl Display for QuotedValue<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            Value::Bool(value) => value.fmt(f),
            Value::I64(value) => value.fmt(f),
            Value::F64(value) => value.fmt(f),
            Value::String(value) => Word(value.as_str()).fmt(f),
            Value::Array(Array::Bool(list)) => write_list(f, list),
            Value::Array(Array::I64(list)) => write_list(f, list),
            Value::Array(Array::F64(list)) => write_list(f, list),
            Value::Array(Array::String(list)) => write_list(f, list.iter().map(|item| Word(item.as_str()))),
            other => Word(&other.as_str()).fmt(f),
        }
    }
}

fn write_list(f: &mut fmt::Formatter<'_>, list: impl IntoIterator<Item = impl Display>) -> fmt::Result {
    f.write_char('[')?;
    for (at, item) in list.into_iter().enumerate() {
        if at > 0 {
            f.write_char(',')?;
        }
        item.fmt(f)?;
    }
    f.write_char(']')
}

#[cfg(test)]
mod tests {
    use super::*;

    fn word(text: &str) -> String {
        Word(text).to_string()
    }

    #[test]
    fn ambiguous_text_is_quoted() {
        for plain in ["acme", "7", "a/b:c,d", "東京", "{}"] {
            assert_eq!(word(plain), plain);
        }
        assert_eq!(word(""), r#""""#);
        assert_eq!(word("two words"), r#""two words""#);
        assert_eq!(word("x span_id=0"), r#""x span_id=0""#);
        assert_eq!(word("no\u{a0}break"), "\"no\u{a0}break\"");
        assert_eq!(word(r#"say "hi" \"#), r#""say \"hi\" \\""#);
        assert_eq!(word("a\nb"), r#""a\nb""#);
        assert_eq!(word("Jane \"J\" Doe\n"), r#""Jane \"J\" Doe\n""#);
    }

    #[test]
    fn the_items_of_a_list_are_words() {
        let list = |array: Array| QuotedValue(&Value::Array(array)).to_string();
        assert_eq!(list(Array::String(vec!["a b".into(), "c".into()])), r#"["a b",c]"#);
        assert_eq!(list(Array::I64(vec![1, 2])), "[1,2]");
        assert_eq!(list(Array::F64(vec![])), "[]");
        assert_eq!(QuotedValue(&Value::F64(1.5)).to_string(), "1.5");
    }
}

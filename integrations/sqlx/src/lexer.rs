//! Tokens of a statement, according to the lexical rules of MySQL and MariaDB.
//!
//! The lexer stops at anything that it does not recognize, because that may contain a literal. It reads at most
//! [`MAX_READ`] bytes, without recursion or allocation.

use throughline::text::truncate;

/// The maximum number of bytes of a statement that are read.
const MAX_READ: usize = 64 * 1024;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Token<'a> {
    /// Whitespace and comments.
    Space,
    /// A keyword or an unquoted name.
    Word(&'a str),
    /// A name in backticks, including them.
    Quoted(&'a str),
    /// A string, a number, `TRUE` or `FALSE`.
    Literal,
    /// The `?` of a bound parameter.
    Placeholder,
    Punctuation(char),
}

/// The settings of a session that decide where a string ends. The client does not know them.
#[derive(Debug, Clone, Copy)]
pub(super) struct Dialect {
    /// Whether `\` escapes the next character in `'…'`.
    single_escapes: bool,
    /// Whether `\` escapes the next character in `"…"`.
    double_escapes: bool,
}

impl Dialect {
    /// What a server assumes unless it is configured otherwise.
    pub(super) const DEFAULT: Self = Self { single_escapes: true, double_escapes: true };
    const NO_BACKSLASH_ESCAPES: Self = Self { single_escapes: false, double_escapes: false };
    const ANSI_QUOTES: Self = Self { single_escapes: true, double_escapes: false };

    /// The dialects in which `sql` may have other tokens than in the default one.
    pub(super) fn others(sql: &str) -> &'static [Self] {
        match (sql.contains('\\'), sql.contains('"')) {
            (false, _) => &[],
            (true, false) => &[Self::NO_BACKSLASH_ESCAPES],
            (true, true) => &[Self::NO_BACKSLASH_ESCAPES, Self::ANSI_QUOTES],
        }
    }
}

/// The part of a statement that is read.
#[derive(Debug, Clone, Copy)]
pub(super) struct Source<'a> {
    pub(super) sql: &'a str,
    /// The statement continues after `sql`.
    pub(super) truncated: bool,
}

impl<'a> Source<'a> {
    pub(super) fn new(sql: &'a str) -> Self {
        let read = truncate(sql, MAX_READ);
        Self { sql: read, truncated: read.len() < sql.len() }
    }

    pub(super) fn tokens(self, dialect: Dialect) -> Lexer<'a> {
        Lexer { source: self, at: 0, dialect, refused: false }
    }
}

/// Yields the tokens up to the end, or up to the first that is not understood.
#[derive(Debug)]
pub(super) struct Lexer<'a> {
    source: Source<'a>,
    at: usize,
    dialect: Dialect,
    refused: bool,
}

/// The next token is not understood.
#[derive(Debug)]
struct Refused;

impl<'a> Iterator for Lexer<'a> {
    type Item = Token<'a>;

    fn next(&mut self) -> Option<Token<'a>> {
        if self.refused || self.rest().is_empty() {
            return None;
        }
        let token = self.token();
        self.refused = token.is_err();
        token.ok()
    }
}

impl<'a> Lexer<'a> {
    /// Whether there was a token that is not understood. Known once there are no more tokens.
    pub(super) fn refused(&self) -> bool {
        self.refused
    }

    fn rest(&self) -> &'a [u8] {
        &self.source.sql.as_bytes()[self.at..]
    }

    /// Takes `length` bytes. Every caller stops next to an ASCII byte or at the end.
    fn take(&mut self, length: usize) -> &'a str {
        let start = self.at;
        self.at += length;
        &self.source.sql[start..self.at]
    }

    /// The next token. There is at least one more byte.
    fn token(&mut self) -> Result<Token<'a>, Refused> {
        let spaces = self.spaces()?;
        if spaces > 0 {
            self.at += spaces;
            return Ok(Token::Space);
        }
        let rest = self.rest();
        let second = rest.get(1).copied().unwrap_or_default();
        match rest[0] {
            quote @ (b'\'' | b'"') => self.string(quote),
            b'`' => {
                let length = quoted(rest, b'`', false).ok_or(Refused)?;
                Ok(Token::Quoted(self.take(length)))
            }
            // Bit, hexadecimal and national strings: the letter belongs to the literal.
            b'x' | b'X' | b'b' | b'B' | b'n' | b'N' if second == b'\'' => {
                self.at += 1;
                self.string(b'\'')
            }
            b'0'..=b'9' => Ok(self.number()),
            b'.' if second.is_ascii_digit() => Ok(self.number()),
            // Newer versions of MySQL take `$$…$$` and `$tag$…$tag$` for strings, older ones for names.
            b'$' => Err(Refused),
            byte if is_name(byte) => Ok(self.word()),
            b'?' => {
                self.at += 1;
                Ok(Token::Placeholder)
            }
            byte if byte.is_ascii_punctuation() && byte != b'\\' => {
                self.at += 1;
                Ok(Token::Punctuation(byte.into()))
            }
            _ => Err(Refused),
        }
    }

    /// The length of the whitespace and comments that come next.
    fn spaces(&self) -> Result<usize, Refused> {
        let rest = self.rest();
        let mut at = 0;
        loop {
            let rest = &rest[at..];
            at += match rest {
                [b'\t'..=b'\r' | b' ', ..] => 1,
                // Without the space it is a minus before a negative number.
                [b'-', b'-', after, ..] if *after > b' ' && *after != 0x7f => return Ok(at),
                [b'#', ..] | [b'-', b'-', ..] => line(rest),
                [b'/', b'*', ..] => self.comment(rest)?,
                _ => return Ok(at),
            };
        }
    }

    /// The length of the `/* … */` at the start of `rest`.
    fn comment(&self, rest: &[u8]) -> Result<usize, Refused> {
        let inside = &rest[2..];
        let Some(end) = inside.windows(2).position(|pair| pair == b"*/") else {
            return if self.source.truncated { Ok(rest.len()) } else { Err(Refused) };
        };
        // Some servers execute what is in `/*! … */` and `/*M! … */`, and read hints in `/*+ … */`. Then a `*/`
        // in a string does not end the comment.
        let executed = matches!(inside, [b'!', ..] | [b'M', b'!', ..]);
        let quotes_in_hint = inside.first() == Some(&b'+') && inside[..end].iter().any(|byte| b"'\"`".contains(byte));
        // Servers disagree on where a comment with a comment inside ends.
        let nested = inside[..end].windows(2).any(|pair| pair == b"/*");
        if executed || quotes_in_hint || nested { Err(Refused) } else { Ok(2 + end + 2) }
    }

    fn string(&mut self, quote: u8) -> Result<Token<'a>, Refused> {
        let rest = self.rest();
        let escapes = if quote == b'"' { self.dialect.double_escapes } else { self.dialect.single_escapes };
        self.at += match quoted(rest, quote, escapes) {
            Some(length) => length,
            // The first part of a literal is a literal, too.
            None if self.source.truncated => rest.len(),
            None => return Err(Refused),
        };
        Ok(Token::Literal)
    }

    /// Everything that starts with a digit, which may be a name as well: `2fa_codes`.
    fn number(&mut self) -> Token<'a> {
        let rest = self.rest();
        let mut length = 1;
        while let Some(&byte) = rest.get(length) {
            let signed_exponent = matches!(byte, b'+' | b'-')
                && matches!(rest[length - 1], b'e' | b'E')
                && rest[..length - 1].iter().all(|byte| byte.is_ascii_digit() || *byte == b'.')
                && rest.get(length + 1).is_some_and(u8::is_ascii_digit);
            if !(is_name(byte) || byte == b'.' || signed_exponent) {
                break;
            }
            length += 1;
        }
        self.at += length;
        Token::Literal
    }

    fn word(&mut self) -> Token<'a> {
        let rest = self.rest();
        let word = self.take(rest.iter().position(|byte| !is_name(*byte)).unwrap_or(rest.len()));
        let is_boolean = word.eq_ignore_ascii_case("true") || word.eq_ignore_ascii_case("false");
        if is_boolean { Token::Literal } else { Token::Word(word) }
    }
}

/// The length of the quoted text at the start of `rest`. A doubled quote does not end it.
fn quoted(rest: &[u8], quote: u8, escapes: bool) -> Option<usize> {
    let mut at = 1;
    loop {
        at += match *rest.get(at)? {
            b'\\' if escapes => 2,
            byte if byte == quote && rest.get(at + 1) == Some(&quote) => 2,
            byte if byte == quote => return Some(at + 1),
            _ => 1,
        };
    }
}

/// The length of the rest of the line, without its end.
fn line(rest: &[u8]) -> usize {
    rest.iter().position(|byte| *byte == b'\n').unwrap_or(rest.len())
}

fn is_name(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'$') || !byte.is_ascii()
}

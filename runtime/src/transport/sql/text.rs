//! Statement text without its literals, by the lexical rules of MySQL and MariaDB.
//!
//! What is a literal depends on settings of the session (`NO_BACKSLASH_ESCAPES`, `ANSI_QUOTES`) that a
//! client does not see. So a text is read as a server does by default, then under the other settings, and is
//! only kept if that makes no difference.

use super::summary::{self, Summary};

/// How much of a statement is looked at.
const MAX_READ: usize = 64 * 1024;

/// How much of it is kept.
const MAX_TEXT: usize = 2048;

/// What a statement tells of itself.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Statement {
    /// The statement with `?` for each literal, without comments; `None` if it cannot be told for
    /// sure what is a literal.
    pub(super) text: Option<String>,
    /// Operations and tables: `SELECT orders`.
    pub(super) summary: Option<String>,
    /// The operation, if there is one.
    pub(super) operation: Option<String>,
    /// The table, if there is one.
    pub(super) table: Option<String>,
}

impl Statement {
    pub(super) fn of(sql: &str) -> Self {
        let read = Source::new(sql);
        let (usual, others) = Reading::of(read.text);
        let Ok(this) = read.read(usual) else { return Self::refused(sql) };
        for &other in others {
            match read.read(other) {
                Ok(other) if other == this => {}
                // No server reads it in this way, unless the text goes on behind the cut.
                Err(Refused) if !read.cut => {}
                _ => return Self::refused(sql),
            }
        }
        this
    }

    /// Of a text that is not understood nothing is kept but a first word out of a closed list.
    fn refused(sql: &str) -> Self {
        let first = sql.trim_start().split(|c: char| !c.is_ascii_alphabetic()).next().unwrap_or_default();
        let operation = summary::is_operation(first).then(|| first.to_owned());
        Self { summary: operation.clone(), operation, ..Self::default() }
    }
}

/// The server may or may not take `\` as an escape in a string, and that may depend on the quotes.
#[derive(Debug, Clone, Copy)]
struct Reading {
    single: bool,
    double: bool,
}

impl Reading {
    /// The usual way to read `text`, and those under other settings.
    fn of(text: &str) -> (Self, &'static [Self]) {
        const NO_ESCAPES: Reading = Reading { single: false, double: false };
        const ANSI_QUOTES: Reading = Reading { single: true, double: false };
        let others: &[_] = match (text.contains('\\'), text.contains('"')) {
            (false, _) => &[],
            (true, false) => &[NO_ESCAPES],
            (true, true) => &[NO_ESCAPES, ANSI_QUOTES],
        };
        (Self { single: true, double: true }, others)
    }
}

#[derive(Debug, Clone, Copy)]
struct Source<'a> {
    text: &'a str,
    cut: bool,
}

impl<'a> Source<'a> {
    fn new(sql: &'a str) -> Self {
        if sql.len() <= MAX_READ {
            return Self { text: sql, cut: false };
        }
        let end = (0..=MAX_READ).rev().find(|&at| sql.is_char_boundary(at)).unwrap_or(0);
        Self { text: &sql[..end], cut: true }
    }

    fn read(self, reading: Reading) -> Result<Statement, Refused> {
        let mut lexer = Lexer { text: self.text, at: 0, reading, cut: self.cut };
        let mut writer = Writer::default();
        let mut summary = Summary::default();
        while let Some((token, spaced)) = lexer.next()? {
            summary.token(token);
            // Read on when it is full: whether the text is understood shows only at its end.
            writer.write(token, spaced);
        }
        if lexer.cut {
            writer.cut();
        }
        let (summary, operation, table) = summary.finish(lexer.cut);
        Ok(Statement { text: Some(writer.text), summary, operation, table })
    }
}

/// The text is not understood.
#[derive(Debug)]
struct Refused;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Token<'a> {
    /// A keyword or a name.
    Word(&'a str),
    /// A name in backticks, with them.
    Quoted(&'a str),
    Literal,
    Placeholder,
    Sign(char),
}

#[derive(Debug)]
struct Lexer<'a> {
    text: &'a str,
    at: usize,
    reading: Reading,
    cut: bool,
}

impl<'a> Lexer<'a> {
    fn rest(&self) -> &'a [u8] {
        &self.text.as_bytes()[self.at..]
    }

    /// The next token, and whether there is space or a comment before it.
    fn next(&mut self) -> Result<Option<(Token<'a>, bool)>, Refused> {
        let start = self.at;
        self.skip_space()?;
        let spaced = self.at > start;
        let rest = self.rest();
        let next = |at: usize| rest.get(at).copied().unwrap_or_default();
        let token = match next(0) {
            0 if rest.is_empty() => return Ok(None),
            quote @ (b'\'' | b'"') => self.string(quote)?,
            b'`' => self.quoted_name()?,
            b'?' => self.sign(Token::Placeholder),
            b'0'..=b'9' => self.number(),
            b'.' if next(1).is_ascii_digit() => self.number(),
            // Bits, bytes and national text: the letter belongs to the literal.
            b'x' | b'X' | b'b' | b'B' | b'n' | b'N' if next(1) == b'\'' => {
                self.at += 1;
                self.string(b'\'')?
            }
            // MySQL has no such names any more, but texts between `$$` or `$tag$`.
            b'$' => return Err(Refused),
            byte if is_name(byte) => self.word(),
            byte if byte.is_ascii_punctuation() && byte != b'\\' => self.sign(Token::Sign(byte.into())),
            _ => return Err(Refused),
        };
        Ok(Some((token, spaced)))
    }

    fn sign(&mut self, token: Token<'a>) -> Token<'a> {
        self.at += 1;
        token
    }

    fn skip_space(&mut self) -> Result<(), Refused> {
        loop {
            let rest = self.rest();
            let second = rest.get(1).copied();
            match rest.first() {
                Some(byte) if byte.is_ascii_whitespace() || *byte == 0x0b => self.at += 1,
                Some(b'#') => self.skip_line(),
                Some(b'-') if second == Some(b'-') && rest.get(2).is_none_or(|byte| *byte <= b' ' || *byte == 0x7f) => {
                    self.skip_line();
                }
                Some(b'/') if second == Some(b'*') => self.skip_comment()?,
                _ => return Ok(()),
            }
        }
    }

    fn skip_line(&mut self) {
        self.at += self.rest().iter().position(|byte| *byte == b'\n').unwrap_or(self.rest().len());
    }

    fn skip_comment(&mut self) -> Result<(), Refused> {
        let inside = &self.rest()[2..];
        let Some(end) = inside.windows(2).position(|pair| pair == b"*/") else {
            return if self.cut { self.skip_all() } else { Err(Refused) };
        };
        // The server executes what is in `/*! … */` and `/*M! … */`, depending on its version, and reads
        // hints in `/*+ … */`. Then `*/` in a string does not end the comment.
        let executed = matches!(inside, [b'!', ..] | [b'M', b'!', ..]);
        let hint = inside.first() == Some(&b'+') && inside[..end].iter().any(|byte| b"'\"`".contains(byte));
        // Servers do not agree on comments in comments.
        let nested = inside[..end].windows(2).any(|pair| pair == b"/*");
        if executed || hint || nested {
            return Err(Refused);
        }
        self.at += 2 + end + 2;
        Ok(())
    }

    #[expect(clippy::unnecessary_wraps, reason = "the other way out of a comment has an error")]
    fn skip_all(&mut self) -> Result<(), Refused> {
        self.at = self.text.len();
        Ok(())
    }

    fn string(&mut self, quote: u8) -> Result<Token<'a>, Refused> {
        let escapes = if quote == b'"' { self.reading.double } else { self.reading.single };
        self.quoted(quote, escapes)?;
        Ok(Token::Literal)
    }

    fn quoted_name(&mut self) -> Result<Token<'a>, Refused> {
        let start = self.at;
        self.quoted(b'`', false)?;
        Ok(Token::Quoted(&self.text[start..self.at]))
    }

    /// Goes behind the closing quote. A doubled quote does not close.
    fn quoted(&mut self, quote: u8, escapes: bool) -> Result<(), Refused> {
        let rest = self.rest();
        let mut at = 1;
        while let Some(byte) = rest.get(at) {
            at += match *byte {
                b'\\' if escapes => 2,
                byte if byte == quote && rest.get(at + 1) == Some(&quote) => 2,
                byte if byte == quote => {
                    self.at += at + 1;
                    return Ok(());
                }
                _ => 1,
            };
        }
        // The half of a name is no name; the half of a literal is a literal.
        if self.cut && quote != b'`' {
            self.at = self.text.len();
            return Ok(());
        }
        Err(Refused)
    }

    /// Everything that begins with a digit, also a name: `2fa_codes`.
    fn number(&mut self) -> Token<'a> {
        let rest = self.rest();
        let mut at = 1;
        while let Some(&byte) = rest.get(at) {
            let exponent = matches!(byte, b'+' | b'-')
                && matches!(rest[at - 1], b'e' | b'E')
                && rest[..at - 1].iter().all(|byte| byte.is_ascii_digit() || *byte == b'.')
                && rest.get(at + 1).is_some_and(u8::is_ascii_digit);
            if !(is_name(byte) || byte == b'.' || exponent) {
                break;
            }
            at += 1;
        }
        self.at += at;
        Token::Literal
    }

    fn word(&mut self) -> Token<'a> {
        let rest = self.rest();
        let length = rest.iter().position(|byte| !is_name(*byte)).unwrap_or(rest.len());
        let word = &self.text[self.at..self.at + length];
        self.at += length;
        let is_truth = word.eq_ignore_ascii_case("true") || word.eq_ignore_ascii_case("false");
        if is_truth { Token::Literal } else { Token::Word(word) }
    }
}

fn is_name(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'$') || !byte.is_ascii()
}

/// Writes tokens down again.
#[derive(Debug, Default)]
struct Writer {
    text: String,
    last: Option<Last>,
    list: List,
    full: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Last {
    Word,
    Literal,
    Other,
}

/// Where in `IN (1, 2, 3)` we are. However long, it is written `IN (?)`.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
enum List {
    #[default]
    Outside,
    /// Behind `IN`.
    In,
    /// Behind `IN (`.
    Open,
    /// Behind a value of the list.
    Value,
    /// Behind a value and a comma, which is not written yet.
    Comma,
}

impl Writer {
    fn write(&mut self, token: Token<'_>, spaced: bool) {
        if self.full {
            return;
        }
        let is_value = matches!(token, Token::Literal | Token::Placeholder);
        let next = match (self.list, token) {
            (_, Token::Word(word)) if word.eq_ignore_ascii_case("in") => List::In,
            (List::In, Token::Sign('(')) => List::Open,
            (List::Open | List::Comma, _) if is_value => List::Value,
            (List::Value, Token::Sign(',')) => List::Comma,
            _ => List::Outside,
        };
        let before = std::mem::replace(&mut self.list, next);
        if next == List::Comma || (before == List::Comma && next == List::Value) {
            return;
        }
        if before == List::Comma {
            self.text.push_str(", ");
        }
        // `'a' 'b'` is one literal in two parts.
        if token == Token::Literal && self.last == Some(Last::Literal) && before != List::Comma {
            return;
        }
        let glued = is_value && self.last == Some(Last::Word);
        if (spaced || glued) && before != List::Comma && !self.text.is_empty() {
            self.text.push(' ');
        }
        let mut buffer = [0; 4];
        let (piece, last) = match token {
            Token::Word(word) => (word, Last::Word),
            Token::Quoted(name) => (name, Last::Word),
            Token::Literal => ("?", Last::Literal),
            Token::Placeholder => ("?", Last::Other),
            Token::Sign(sign) => (&*sign.encode_utf8(&mut buffer), Last::Other),
        };
        self.last = Some(last);
        if self.text.len() + piece.len() > MAX_TEXT {
            self.cut();
        } else {
            self.text.push_str(piece);
        }
    }

    fn cut(&mut self) {
        if !self.full {
            self.full = true;
            self.text.truncate(self.text.trim_end().len());
            self.text.push('…');
        }
    }
}

//! `db.query.text`: a statement without literals and comments.

use super::lexer::Token;

/// How much text is kept, in bytes.
const MAX_TEXT: usize = 2048;

/// Writes tokens back as text, with `?` for each literal.
#[derive(Debug, Default)]
pub(super) struct Text {
    out: String,
    /// There was whitespace or a comment since the last token.
    spaced: bool,
    previous: Kind,
    list: List,
    full: bool,
}

#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
enum Kind {
    Word,
    Literal,
    #[default]
    Other,
}

/// The position in `IN (1, 2, 3)`. A list of values is written `IN (?)` however long it is, so that the text
/// has a low cardinality.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
enum List {
    #[default]
    Outside,
    /// After `IN`.
    In,
    /// After `IN (`.
    Open,
    /// After a value of the list.
    Value,
    /// After a value and a comma, which is only written if something else than a value follows.
    Comma,
}

impl Text {
    pub(super) fn push(&mut self, token: Token<'_>) {
        if self.full {
            return;
        }
        if token == Token::Space {
            self.spaced = true;
            return;
        }
        let spaced = std::mem::take(&mut self.spaced);
        let is_value = matches!(token, Token::Literal | Token::Placeholder);
        let next = match (self.list, token) {
            (_, Token::Word(word)) if word.eq_ignore_ascii_case("in") => List::In,
            (List::In, Token::Punctuation('(')) => List::Open,
            (List::Open | List::Comma, _) if is_value => List::Value,
            (List::Value, Token::Punctuation(',')) => List::Comma,
            _ => List::Outside,
        };
        let list = std::mem::replace(&mut self.list, next);
        if next == List::Comma || (list == List::Comma && next == List::Value) {
            return;
        }
        // `'a' 'b'` is one literal in two parts.
        if token == Token::Literal && self.previous == Kind::Literal && list != List::Comma {
            return;
        }
        let mut buffer = [0; 4];
        let (piece, kind) = match token {
            Token::Space => return,
            Token::Word(name) | Token::Quoted(name) => (name, Kind::Word),
            Token::Literal => ("?", Kind::Literal),
            Token::Placeholder => ("?", Kind::Other),
            Token::Punctuation(sign) => (&*sign.encode_utf8(&mut buffer), Kind::Other),
        };
        // `_utf8'x'` must not become `_utf8?`.
        let glued = is_value && self.previous == Kind::Word;
        if list == List::Comma {
            self.out.push_str(", ");
        } else if (spaced || glued) && !self.out.is_empty() {
            self.out.push(' ');
        }
        self.previous = kind;
        if self.out.len() + piece.len() > MAX_TEXT {
            self.truncate();
        } else {
            self.out.push_str(piece);
        }
    }

    /// The text. `truncated`: the statement goes on.
    pub(super) fn finish(mut self, truncated: bool) -> String {
        if truncated {
            self.truncate();
        }
        self.out
    }

    fn truncate(&mut self) {
        if !self.full {
            self.full = true;
            self.out.truncate(self.out.trim_end().len());
            self.out.push('…');
        }
    }
}

//! `db.query.summary`: the operations of a statement and the tables they apply to.
//!
//! Follows [Generating a summary of the query]. This is not a parser: it recognizes where tables are named, and
//! skips everything else.
//!
//! [Generating a summary of the query]: https://opentelemetry.io/docs/specs/semconv/db/database-spans/#generating-a-summary-of-the-query

use std::borrow::Cow;
use std::iter::Peekable;

use super::lexer::Token;

/// The limit of the semantic conventions. They count characters, we count bytes.
const MAX_SUMMARY: usize = 255;

/// How many names in a `WITH` clause are distinguished from tables.
const MAX_COMMON_TABLES: usize = 64;

/// The first words of statements.
const OPERATIONS: &str = "SELECT INSERT UPDATE DELETE REPLACE CREATE ALTER DROP TRUNCATE RENAME CALL LOAD EXPLAIN \
    DESCRIBE DESC SHOW SET USE DO BEGIN START COMMIT ROLLBACK SAVEPOINT RELEASE LOCK UNLOCK GRANT REVOKE ANALYZE \
    CHECK OPTIMIZE REPAIR FLUSH KILL PREPARE EXECUTE DEALLOCATE HANDLER VALUES XA";

/// The kinds of objects that are created, altered and dropped.
const OBJECTS: &str = "TABLE TABLES VIEW INDEX DATABASE SCHEMA USER ROLE PROCEDURE FUNCTION TRIGGER EVENT SERVER \
    TABLESPACE SEQUENCE PACKAGE";

/// Words that may precede the name of a table.
const MODIFIERS: &str = "LOW_PRIORITY HIGH_PRIORITY DELAYED QUICK IGNORE INTO TABLE IF NOT EXISTS LATERAL";

/// Reads all of `tokens`, among which there must be no [`Token::Space`]. `None` if no operation is known.
pub(super) fn of<'a>(tokens: impl Iterator<Item = Token<'a>>) -> Option<String> {
    let mut reader = Reader {
        tokens: tokens.peekable(),
        position: Position::Start,
        outer: Vec::new(),
        common_tables: Vec::new(),
        separator: "",
        text: String::new(),
        full: false,
    };
    while let Some(token) = reader.tokens.next() {
        reader.token(token);
    }
    Some(reader.text).filter(|text| !text.is_empty())
}

/// Where in a statement, or between a pair of parentheses, the reader is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Position {
    /// Before the first word of a statement.
    Start,
    /// After `WITH` or `EXPLAIN`: the main operation follows.
    Prefix,
    /// In a query, but not in its list of tables.
    Query,
    /// In a list of tables, where a comma precedes another one.
    Tables,
    /// In an expression, or after the only table of a statement.
    Other,
    /// In what is skipped up to the next statement.
    Ignored,
}

struct Reader<'a, T: Iterator<Item = Token<'a>>> {
    tokens: Peekable<T>,
    position: Position,
    /// The positions at which the parentheses around this one were opened.
    outer: Vec<Position>,
    /// Names that `WITH` has introduced, which are not tables.
    common_tables: Vec<String>,
    /// What precedes the next word of `text`.
    separator: &'static str,
    text: String,
    full: bool,
}

impl<'a, T: Iterator<Item = Token<'a>>> Reader<'a, T> {
    fn token(&mut self, token: Token<'a>) {
        match (token, self.position) {
            (Token::Punctuation(';'), _) => {
                self.position = Position::Start;
                self.outer.clear();
            }
            (_, Position::Ignored) => {}
            (Token::Word(word), Position::Start) => self.statement(word),
            (Token::Word(word), _) => self.word(word),
            (Token::Quoted(_) | Token::Literal | Token::Placeholder, Position::Start) => self.statement(""),
            (Token::Punctuation('('), Position::Start) => self.open(Position::Start),
            (Token::Punctuation('('), _) => self.open(Position::Other),
            (Token::Punctuation(')'), _) => self.position = self.outer.pop().unwrap_or(Position::Other),
            (Token::Punctuation(','), Position::Tables) => self.table(Position::Tables),
            (Token::Punctuation(','), Position::Prefix) => self.common_table(),
            _ => {}
        }
    }

    fn open(&mut self, inside: Position) {
        self.outer.push(self.position);
        self.position = inside;
    }

    fn statement(&mut self, first: &'a str) {
        self.separator = if self.text.is_empty() { "" } else { "; " };
        // `(SELECT …) UNION (SELECT …)` is one statement.
        self.outer.fill(Position::Query);
        if is_operation(first) {
            self.operation(first);
        } else if first.eq_ignore_ascii_case("with") {
            self.common_table();
        } else {
            self.position = Position::Ignored;
        }
    }

    fn word(&mut self, word: &'a str) {
        match (upper(word, &mut [0; 16]), self.position) {
            ("SELECT", _) | ("INSERT" | "UPDATE" | "DELETE" | "REPLACE", Position::Prefix) => self.operation(word),
            // After a list of tables, it is `GROUP BY … WITH ROLLUP`.
            ("WITH", Position::Other | Position::Prefix) => self.common_table(),
            // `ANALYZE TABLE t UPDATE HISTOGRAM` updates no table.
            ("TABLE", Position::Prefix) => self.position = Position::Ignored,
            ("JOIN" | "STRAIGHT_JOIN" | "FROM", Position::Tables) | ("FROM", Position::Query) => {
                self.table(Position::Tables);
            }
            // An index hint: `USE INDEX FOR JOIN (i)`.
            ("FOR", Position::Tables) if self.peek("JOIN") => drop(self.tokens.next()),
            (
                "WHERE" | "SET" | "GROUP" | "HAVING" | "ORDER" | "LIMIT" | "WINDOW" | "INTO" | "UNION" | "EXCEPT"
                | "INTERSECT" | "RETURNING" | "UPDATE" | "SHARE",
                Position::Tables,
            ) => self.position = Position::Query,
            _ => {}
        }
    }

    fn operation(&mut self, word: &'a str) {
        self.push(word);
        match upper(word, &mut [0; 16]) {
            "SELECT" | "DELETE" => self.position = Position::Query,
            "UPDATE" => self.table(Position::Tables),
            "INSERT" | "REPLACE" | "TRUNCATE" => self.table(Position::Other),
            "LOAD" if self.peek("DATA XML") && self.skip_to("INTO").is_some() => self.table(Position::Other),
            "DROP" | "RENAME" => self.object(Position::Tables),
            "CREATE" | "ALTER" => self.object(Position::Other),
            "CALL" => {
                self.position = Position::Other;
                if let Some(procedure) = self.name() {
                    self.push(&procedure);
                }
            }
            "EXPLAIN" | "DESCRIBE" | "DESC" | "ANALYZE" => self.position = Position::Prefix,
            _ => self.position = Position::Ignored,
        }
    }

    /// Reads what is created, altered or dropped. Only tables are named in a summary: the definitions of other
    /// things contain statements, users and passwords.
    fn object(&mut self, position: Position) {
        self.position = position;
        let Some(kind) = self.skip_to(OBJECTS) else { return };
        self.push(kind);
        match upper(kind, &mut [0; 16]) {
            "TABLE" | "TABLES" | "VIEW" => self.table(position),
            "INDEX" if self.skip_to("ON").is_some() => self.table(position),
            _ => {
                self.position = Position::Ignored;
                // Semicolons in a body do not end the statement, and only a parser knows where it ends.
                if self.skip_to("BEGIN").is_some() {
                    while self.tokens.next().is_some() {}
                }
            }
        }
    }

    /// Reads the name of a table, if there is one. `position`: what comes after it.
    fn table(&mut self, position: Position) {
        self.position = position;
        let is_open = |token: &Token<'_>| position == Position::Tables && *token == Token::Punctuation('(');
        while self.peek(MODIFIERS) || self.tokens.peek().is_some_and(is_open) {
            if self.tokens.next().is_some_and(|token| is_open(&token)) {
                self.open(Position::Tables);
            }
        }
        if self.peek("SELECT WITH VALUES") {
            self.position = Position::Other;
            return;
        }
        let is_dual = self.peek("DUAL");
        let Some(name) = self.name() else { return };
        // `JSON_TABLE(…)`
        let is_function = self.tokens.peek().is_some_and(is_open);
        if is_dual || is_function || self.common_tables.contains(&name) {
            return;
        }
        self.push(&name);
    }

    /// Reads the name that `WITH` gives to a query.
    fn common_table(&mut self) {
        self.position = Position::Prefix;
        if self.peek("RECURSIVE") {
            self.tokens.next();
        }
        let name = self.name().filter(|_| self.common_tables.len() < MAX_COMMON_TABLES);
        self.common_tables.extend(name);
    }

    /// Reads a name, which may be qualified: `shop.orders`.
    fn name(&mut self) -> Option<String> {
        let mut name = self.identifier()?.into_owned();
        while self.tokens.next_if_eq(&Token::Punctuation('.')).is_some() {
            let Some(part) = self.identifier() else { break };
            name = name + "." + &part;
        }
        Some(name)
    }

    fn identifier(&mut self) -> Option<Cow<'a, str>> {
        let name = match *self.tokens.peek()? {
            Token::Word(word) => word.into(),
            Token::Quoted(quoted) => quoted[1..quoted.len() - 1].replace("``", "`").into(),
            _ => return None,
        };
        self.tokens.next();
        Some(name)
    }

    /// Goes to the first of `keywords` in this statement.
    fn skip_to(&mut self, keywords: &str) -> Option<&'a str> {
        while let Some(token) = self.tokens.next_if(|token| *token != Token::Punctuation(';')) {
            match token {
                Token::Word(word) if is_one_of(word, keywords) => return Some(word),
                _ => {}
            }
        }
        None
    }

    /// Whether one of `keywords` comes next.
    fn peek(&mut self, keywords: &str) -> bool {
        matches!(self.tokens.peek(), Some(Token::Word(word)) if is_one_of(word, keywords))
    }

    /// Appends an operation or a table. Neither is ever cut in two.
    fn push(&mut self, word: &str) {
        let separator = std::mem::replace(&mut self.separator, " ");
        self.full |= self.text.len() + separator.len() + word.len() > MAX_SUMMARY;
        if !self.full {
            self.text.push_str(separator);
            self.text.push_str(word);
        }
    }
}

pub(super) fn is_operation(word: &str) -> bool {
    is_one_of(word, OPERATIONS)
}

fn is_one_of(word: &str, words: &str) -> bool {
    words.split(' ').any(|one| one.eq_ignore_ascii_case(word))
}

/// `word` in upper case, or nothing if it is too long for a keyword.
fn upper<'b>(word: &str, buffer: &'b mut [u8; 16]) -> &'b str {
    let Some(upper) = buffer.get_mut(..word.len()) else { return "" };
    upper.copy_from_slice(word.as_bytes());
    upper.make_ascii_uppercase();
    std::str::from_utf8(upper).unwrap_or_default()
}

//! What a statement does to which tables, in a few words: `db.query.summary`.

use super::text::Token;

/// The specification asks for at most this many bytes.
const MAX_SUMMARY: usize = 255;

/// Nobody writes by hand what is nested deeper.
const MAX_DEPTH: usize = 64;

/// Follows the tokens of a statement. It knows where tables stand, and nothing else of the grammar.
#[derive(Debug, Default)]
pub(super) struct Summary {
    text: String,
    full: bool,
    operation: Option<String>,
    /// The different tables, as far as it matters: there may be none, one, or more.
    tables: Tables,
    statements: usize,
    /// Whether the current statement has begun.
    begun: bool,
    /// The statement that was written of last; the first is 1.
    written: usize,
    state: State,
    parens: Vec<Paren>,
    /// The main operation is still to come: the statement began with `WITH`.
    with: bool,
    /// Names that `WITH` has given to queries, which are no tables.
    named_queries: Vec<String>,
    /// The name that is being read; it may get longer by `.name`.
    name: Option<String>,
}

#[derive(Debug, Default)]
enum Tables {
    #[default]
    None,
    One(String),
    Several,
}

#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
enum State {
    /// At the start of a statement.
    #[default]
    Start,
    /// Behind `CREATE`, `ALTER`, `DROP`: what kind of thing comes next?
    Object,
    /// Behind the name of an index: `ON` comes next.
    Index,
    /// Where a table has to be.
    Table,
    /// Behind a table.
    Named,
    /// Behind the dot in `schema.table`.
    Dot,
    /// Behind `AS`.
    Alias,
    /// Behind the alias of a table.
    Aliased,
    /// Behind `(` where no table has to be.
    Open,
    /// Behind `LOAD DATA`.
    Load,
    /// Anywhere else.
    Rest,
    /// Where nothing more is of interest.
    Done,
}

#[derive(Debug, Clone, Copy)]
struct Paren {
    /// Stands where a table has to be.
    table: bool,
    /// Holds a query.
    query: bool,
}

impl Summary {
    pub(super) fn token(&mut self, token: Token<'_>) {
        if self.state != State::Named && self.state != State::Dot {
            self.end_name();
        }
        match token {
            Token::Sign(';') => {
                self.end_name();
                self.parens.clear();
                self.with = false;
                self.begun = false;
                self.state = State::Start;
            }
            _ if self.state == State::Done => {}
            Token::Sign(sign) => self.sign(sign),
            Token::Word(word) => self.word(word),
            Token::Quoted(name) => self.name(&name[1..name.len() - 1].replace("``", "`")),
            // A table in double quotes, or no SQL at all.
            Token::Literal | Token::Placeholder if self.state == State::Table => self.state = State::Aliased,
            Token::Literal | Token::Placeholder => {
                if !matches!(self.state, State::Object | State::Load) {
                    self.end_name();
                    self.state = State::Rest;
                }
            }
        }
    }

    /// The summary, the operation and the table, as far as there are such. `cut`: there may be more.
    pub(super) fn finish(mut self, cut: bool) -> (Option<String>, Option<String>, Option<String>) {
        self.end_name();
        let single = self.statements == 1;
        let called = self.operation.as_deref().is_some_and(|operation| operation.eq_ignore_ascii_case("call"));
        let table = match std::mem::take(&mut self.tables) {
            Tables::One(table) if single && !cut && !called => Some(table),
            _ => None,
        };
        (Some(self.text).filter(|text| !text.is_empty()), self.operation.filter(|_| single), table)
    }

    fn sign(&mut self, sign: char) {
        match (sign, self.state) {
            ('.', State::Named) => {
                self.state = if self.name.is_some() { State::Dot } else { State::Rest };
                return;
            }
            (',', State::Named | State::Aliased) => self.state = State::Table,
            ('(', state) => {
                if self.parens.len() == MAX_DEPTH {
                    self.state = State::Done;
                    return;
                }
                self.parens.push(Paren { table: state == State::Table, query: state == State::Start });
                if !matches!(state, State::Table | State::Start) {
                    self.state = State::Open;
                }
            }
            (')', _) => {
                let table = self.parens.pop().is_some_and(|paren| paren.table);
                self.end_name();
                self.state = if table { State::Named } else { State::Rest };
                return;
            }
            (_, State::Start | State::Object | State::Load) => {}
            _ => self.state = State::Rest,
        }
        self.end_name();
    }

    fn name(&mut self, name: &str) {
        match self.state {
            State::Dot => {
                if let Some(whole) = &mut self.name {
                    whole.push('.');
                    whole.push_str(name);
                }
                self.state = State::Named;
            }
            State::Table => {
                self.name = Some(name.to_owned());
                self.state = State::Named;
            }
            State::Named | State::Alias => {
                self.end_name();
                self.state = State::Aliased;
            }
            State::Object | State::Index | State::Load => {}
            _ => {
                if self.with && self.parens.is_empty() {
                    self.named_queries.push(name.to_owned());
                }
                self.state = State::Rest;
            }
        }
    }

    fn word(&mut self, word: &str) {
        if self.state == State::Dot {
            return self.name(word);
        }
        let upper = Upper::new(word);
        let keyword = upper.as_str();
        match (self.state, keyword) {
            (State::Start, "WITH") => {
                self.begin_statement();
                self.with = true;
                self.state = State::Rest;
            }
            (State::Start, _) if is_operation(word) => {
                self.begin_statement();
                self.begin(word, keyword);
            }
            (State::Start, _) => {
                self.begin_statement();
                self.state = State::Done;
            }
            (State::Table | State::Open, "SELECT" | "WITH") => {
                if let Some(paren) = self.parens.last_mut() {
                    paren.query = true;
                }
                self.state = State::Rest;
                if keyword == "SELECT" {
                    self.begin(word, keyword);
                }
            }
            (
                State::Table,
                "LOW_PRIORITY" | "HIGH_PRIORITY" | "DELAYED" | "QUICK" | "IGNORE" | "INTO" | "TABLE" | "IF" | "NOT"
                | "EXISTS" | "LATERAL",
            ) => {}
            (State::Table, "DUAL") => self.state = State::Aliased,
            (State::Table, _) => self.name(word),
            (State::Object, _) => self.object(word, keyword),
            (State::Index, "ON") | (State::Load, "INTO") => self.state = State::Table,
            (State::Index | State::Load, _) => {}
            (_, "SELECT") => {
                self.end_name();
                self.begin(word, keyword);
            }
            (_, "INSERT" | "UPDATE" | "DELETE" | "REPLACE") if self.with && self.parens.is_empty() => {
                self.begin(word, keyword);
            }
            (_, "FROM") if self.parens.last().is_none_or(|paren| paren.query || paren.table) => {
                self.end_name();
                self.state = State::Table;
            }
            (_, "JOIN") => {
                self.end_name();
                self.state = State::Table;
            }
            (_, "STRAIGHT_JOIN") if matches!(self.state, State::Named | State::Aliased) => {
                self.end_name();
                self.state = State::Table;
            }
            (State::Named, "AS") => {
                self.end_name();
                self.state = State::Alias;
            }
            (State::Named, _) => {
                self.end_name();
                self.state = if is_clause(keyword) { State::Rest } else { State::Aliased };
            }
            (State::Alias, _) => self.state = State::Aliased,
            (_, "RECURSIVE" | "AS") => self.state = State::Rest,
            _ => {
                if self.with && self.parens.is_empty() {
                    self.named_queries.push(word.to_owned());
                }
                self.state = State::Rest;
            }
        }
    }

    fn begin_statement(&mut self) {
        if self.begun {
            return;
        }
        self.begun = true;
        self.statements += 1;
    }

    /// An operation: the main one, unless a query that `WITH` names is still being read.
    fn begin(&mut self, word: &str, keyword: &str) {
        self.push(word);
        if !self.with || self.parens.is_empty() {
            self.operation.get_or_insert_with(|| word.to_owned());
            self.with = false;
        }
        self.state = match keyword {
            "INSERT" | "REPLACE" | "UPDATE" | "TRUNCATE" | "CALL" => State::Table,
            "SELECT" | "DELETE" => State::Rest,
            "CREATE" | "ALTER" | "DROP" | "RENAME" => State::Object,
            "LOAD" => State::Load,
            "EXPLAIN" => State::Start,
            _ => State::Done,
        };
    }

    /// Behind `CREATE` and its like. Of a table the name counts; the definitions of other things hold
    /// statements, users or passwords.
    fn object(&mut self, word: &str, keyword: &str) {
        let next = match keyword {
            "TABLE" | "VIEW" => State::Table,
            "INDEX" => State::Index,
            "DATABASE" | "SCHEMA" | "USER" | "ROLE" | "PROCEDURE" | "FUNCTION" | "TRIGGER" | "EVENT" | "SERVER"
            | "TABLESPACE" | "SEQUENCE" | "PACKAGE" => State::Done,
            _ => return,
        };
        self.push(word);
        if let Some(operation) = &mut self.operation {
            if self.statements == 1 {
                operation.push(' ');
                operation.push_str(word);
            }
        }
        self.state = next;
    }

    fn end_name(&mut self) {
        let Some(name) = self.name.take() else { return };
        if self.named_queries.contains(&name) {
            return;
        }
        self.push(&name);
        match &self.tables {
            Tables::None => self.tables = Tables::One(name),
            Tables::One(other) if *other == name => {}
            _ => self.tables = Tables::Several,
        }
    }

    fn push(&mut self, word: &str) {
        let before = match std::mem::replace(&mut self.written, self.statements) {
            _ if self.text.is_empty() => "",
            last if last < self.statements => "; ",
            _ => " ",
        };
        self.push_text(before, word);
    }

    /// Never cuts a name.
    fn push_text(&mut self, before: &str, word: &str) {
        self.full |= self.text.len() + before.len() + word.len() > MAX_SUMMARY;
        if !self.full {
            self.text.push_str(before);
            self.text.push_str(word);
        }
    }
}

/// A word in upper case, empty if it is too long to be a keyword.
struct Upper {
    bytes: [u8; 16],
    length: usize,
}

impl Upper {
    fn new(word: &str) -> Self {
        let mut bytes = [0; 16];
        let length = if word.is_ascii() && word.len() <= bytes.len() { word.len() } else { 0 };
        for (upper, byte) in bytes.iter_mut().zip(&word.as_bytes()[..length]) {
            *upper = byte.to_ascii_uppercase();
        }
        Self { bytes, length }
    }

    fn as_str(&self) -> &str {
        std::str::from_utf8(&self.bytes[..self.length]).unwrap_or_default()
    }
}

/// The first words that statements have.
pub(super) fn is_operation(word: &str) -> bool {
    matches!(
        Upper::new(word).as_str(),
        "SELECT"
            | "INSERT"
            | "UPDATE"
            | "DELETE"
            | "REPLACE"
            | "CREATE"
            | "ALTER"
            | "DROP"
            | "TRUNCATE"
            | "RENAME"
            | "CALL"
            | "LOAD"
            | "EXPLAIN"
            | "DESCRIBE"
            | "DESC"
            | "SHOW"
            | "SET"
            | "USE"
            | "DO"
            | "BEGIN"
            | "START"
            | "COMMIT"
            | "ROLLBACK"
            | "SAVEPOINT"
            | "RELEASE"
            | "LOCK"
            | "UNLOCK"
            | "GRANT"
            | "REVOKE"
            | "ANALYZE"
            | "CHECK"
            | "OPTIMIZE"
            | "REPAIR"
            | "FLUSH"
            | "KILL"
            | "PREPARE"
            | "EXECUTE"
            | "DEALLOCATE"
            | "HANDLER"
            | "VALUES"
            | "XA"
    )
}

/// The words behind a table that are not its alias.
fn is_clause(keyword: &str) -> bool {
    matches!(
        keyword,
        "WHERE"
            | "SET"
            | "ON"
            | "USING"
            | "VALUES"
            | "VALUE"
            | "LEFT"
            | "RIGHT"
            | "INNER"
            | "CROSS"
            | "NATURAL"
            | "OUTER"
            | "GROUP"
            | "ORDER"
            | "HAVING"
            | "LIMIT"
            | "UNION"
            | "EXCEPT"
            | "INTERSECT"
            | "FOR"
            | "LOCK"
            | "PARTITION"
            | "USE"
            | "FORCE"
            | "IGNORE"
            | "WINDOW"
            | "PROCEDURE"
            | "RETURNING"
            | "ADD"
            | "DROP"
            | "MODIFY"
            | "CHANGE"
            | "RENAME"
            | "ALTER"
            | "ENGINE"
            | "LIKE"
            | "TO"
    )
}

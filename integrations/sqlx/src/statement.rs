//! The span of one statement.

use std::borrow::Cow;

use sqlx::error::BoxDynError;
use sqlx::mysql::{MySqlArguments, MySqlStatement};
use sqlx::{Execute, MySql, SqlStr};
use throughline::{Span, SpanBuilder, SpanKind, enabled, semconv};

use super::Server;
use super::parse::Statement;

/// A query in its parts: sqlx hands out the text only by consuming the query.
pub(super) struct Query {
    sql: SqlStr,
    statement: Option<MySqlStatement>,
    arguments: Result<Option<MySqlArguments>, BoxDynError>,
    persistent: bool,
}

impl Query {
    pub(super) fn new<'q>(mut query: impl Execute<'q, MySql>) -> Self {
        Self {
            statement: query.statement().cloned(),
            arguments: query.take_arguments(),
            persistent: query.persistent(),
            sql: query.sql(),
        }
    }

    /// Starts the span of the query.
    pub(super) fn span(&self, server: &Server) -> Span {
        start(self.sql.as_str(), server)
    }
}

impl Execute<'_, MySql> for Query {
    fn sql(self) -> SqlStr {
        self.sql
    }

    fn statement(&self) -> Option<&MySqlStatement> {
        self.statement.as_ref()
    }

    fn take_arguments(&mut self) -> Result<Option<MySqlArguments>, BoxDynError> {
        std::mem::replace(&mut self.arguments, Ok(None))
    }

    fn persistent(&self) -> bool {
        self.persistent
    }
}

/// Starts the span of `sql`.
pub(super) fn start(sql: &str, server: &Server) -> Span {
    if !enabled() {
        return Span::none();
    }
    let statement = Statement::of(sql);
    let name = statement.summary.clone().map_or_else(|| server.target(), Cow::Owned);
    SpanBuilder::new(name).kind(SpanKind::Client).start_with(|tags| {
        server.describe(tags);
        if let Some(summary) = statement.summary {
            tags.attribute(semconv::DB_QUERY_SUMMARY, summary);
        }
        if let Some(text) = statement.text {
            tags.attribute(semconv::DB_QUERY_TEXT, text);
        }
    })
}

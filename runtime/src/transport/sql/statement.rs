//! The span of one statement.

use opentelemetry::trace::SpanKind;
use sqlx::error::BoxDynError;
use sqlx::mysql::{MySqlArguments, MySqlStatement};
use sqlx::{Execute, MySql, SqlStr};

use super::Server;
use super::parse::Statement;
use crate::context::current;
use crate::span::builder::SpanBuilder;
use crate::span::handle::{Span, is_off};

/// A query in its parts. sqlx only gives out the text by consuming the query.
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

    /// Opens the span of the query.
    pub(super) fn span(&self, server: &Server) -> Span {
        open(self.sql.as_str(), server)
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

/// Opens the span of `sql`.
pub(super) fn open(sql: &str, server: &Server) -> Span {
    if current::with(is_off) {
        return Span::none();
    }
    let statement = Statement::of(sql);
    let builder = match &statement.summary {
        Some(summary) => SpanBuilder::new(summary.clone()),
        None => SpanBuilder::new(server.system()),
    };
    builder.kind(SpanKind::Client).start_with(|tags| {
        server.describe(tags);
        if let Some(operation) = statement.operation {
            tags.attribute("db.operation.name", operation);
        }
        if let Some(table) = statement.table {
            tags.attribute("db.collection.name", table);
        }
        if let Some(summary) = statement.summary {
            tags.attribute("db.query.summary", summary);
        }
        if let Some(text) = statement.text {
            tags.attribute("db.query.text", text);
        }
    })
}

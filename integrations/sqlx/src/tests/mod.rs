//! Statement texts: literals, hostile texts, summaries. Texts of errors.

mod secrets;
mod summaries;
mod texts;

use proptest::prelude::*;

use super::Database;
use super::parse::Statement;

fn text(sql: &str) -> Option<String> {
    Statement::of(sql).text
}

//! Errors of sqlx as outcomes of spans, without the values that are in their messages.

use sqlx::Error;
use sqlx::mysql::MySqlDatabaseError;

use crate::outcome::Outcome;

/// How a statement that gave `error` has ended.
pub(super) fn outcome(error: &Error) -> Outcome {
    if let Error::Database(database) = error {
        return match database.try_downcast_ref::<MySqlDatabaseError>() {
            Some(error) => {
                let message = message(error.number(), error.message());
                Outcome::err(error.number().to_string(), &message)
                    .with("db.response.status_code", error.number().to_string())
            }
            None => Outcome::err("Database", "error returned from database"),
        };
    }
    let name = match error {
        // The statement was fine; there is no such row.
        Error::RowNotFound => return Outcome::default(),
        Error::Io(cause) if cause.kind() == std::io::ErrorKind::TimedOut => "timeout",
        Error::Io(_) => "Io",
        Error::Tls(_) => "Tls",
        Error::Protocol(_) => "Protocol",
        Error::PoolTimedOut => "PoolTimedOut",
        Error::PoolClosed => "PoolClosed",
        Error::WorkerCrashed => "WorkerCrashed",
        Error::BeginFailed => "BeginFailed",
        Error::InvalidSavePointStatement => "InvalidSavePointStatement",
        // What these say may quote an argument, a value or the address with its password.
        Error::Configuration(_) => return Outcome::err("Configuration", "error with configuration"),
        Error::Encode(_) => return Outcome::err("Encode", "error occurred while encoding a value"),
        Error::Decode(_) | Error::ColumnDecode { .. } => {
            return Outcome::err("Decode", "error occurred while decoding a value");
        }
        _ => return Outcome::err("_OTHER", "the statement failed"),
    };
    Outcome::err(name, error)
}

/// The server's message without values. They stand in single quotes, which are not escaped: all from the first
/// quote to the last is left out, unless only names can be there.
fn message(number: u16, message: &str) -> String {
    let names_only = matches!(
        number,
        1007 | 1008 | 1046 | 1048..=1054 | 1060 | 1061 | 1072 | 1091 | 1109 | 1146 | 1176 | 1305 | 1364
    );
    // An apostrophe, as in `doesn't`, is neither the start of a value nor its end.
    let opens = |at: &usize| !message[..*at].ends_with(char::is_alphanumeric);
    let first = message.match_indices('\'').map(|(at, _)| at).find(opens);
    match (first, message.rfind('\'')) {
        (Some(first), Some(last)) if !names_only => {
            let rest = if last > first { &message[last + 1..] } else { "" };
            let rest = if rest.starts_with(|c: char| c.is_alphanumeric()) { "" } else { rest };
            format!("{number}: {}'?'{rest}", &message[..first])
        }
        _ => format!("{number}: {message}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_are_left_out_of_messages() {
        let cases = [
            (1062, "Duplicate entry 'ada' for key 'email'", "1062: Duplicate entry '?'"),
            (1062, "Duplicate entry 'o'brien' for key 'email'", "1062: Duplicate entry '?'"),
            (
                1366,
                "Incorrect integer value: 'x' for column `t`.`a` at row 1",
                "1366: Incorrect integer value: '?' for column `t`.`a` at row 1",
            ),
            (1064, "You have an error near 'SELEC 'pw'' at line 1", "1064: You have an error near '?' at line 1"),
            (1292, "cannot take 'a' it doesn't fit", "1292: cannot take '?'"),
            (1292, "cannot take 'a", "1292: cannot take '?'"),
            (1136, "Column count doesn't match value count", "1136: Column count doesn't match value count"),
            (1136, "It doesn't fit: 'a'", "1136: It doesn't fit: '?'"),
            (1146, "Table 'test.orders' doesn't exist", "1146: Table 'test.orders' doesn't exist"),
            (1213, "Deadlock found when trying to get lock", "1213: Deadlock found when trying to get lock"),
        ];
        for (number, given, expected) in cases {
            assert_eq!(message(number, given), expected);
        }
    }
}

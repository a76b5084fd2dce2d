//! The outcome of a statement that failed, without the values that are in the message of the error.

use sqlx::Error;
use sqlx::mysql::MySqlDatabaseError;
use throughline::{Outcome, semconv};

use super::message;

/// The outcome of a statement that failed with `error`.
pub(super) fn outcome(error: &Error) -> Outcome {
    if let Error::Database(database) = error {
        return match database.try_downcast_ref::<MySqlDatabaseError>() {
            Some(error) => {
                let message = message::without_values(&format!("{}: {}", error.number(), error.message()));
                Outcome::exception(error.number().to_string(), &message)
                    .attribute(semconv::DB_RESPONSE_STATUS_CODE, error.number().to_string())
            }
            None => Outcome::exception("Database", "error returned from database"),
        };
    }
    let name = match error {
        // The statement has succeeded; there is no such row.
        Error::RowNotFound => return Outcome::ok(),
        Error::Io(cause) if cause.kind() == std::io::ErrorKind::TimedOut => "timeout",
        Error::Io(_) => "Io",
        Error::Tls(_) => "Tls",
        Error::Protocol(_) => "Protocol",
        Error::PoolTimedOut => "PoolTimedOut",
        Error::PoolClosed => "PoolClosed",
        Error::WorkerCrashed => "WorkerCrashed",
        Error::BeginFailed => "BeginFailed",
        Error::InvalidSavePointStatement => "InvalidSavePointStatement",
        // These messages may quote an argument, a value or the URL with its password.
        Error::Configuration(_) => return Outcome::exception("Configuration", "error with configuration"),
        Error::Encode(_) => return Outcome::exception("Encode", "error occurred while encoding a value"),
        Error::Decode(_) | Error::ColumnDecode { .. } => {
            return Outcome::exception("Decode", "error occurred while decoding a value");
        }
        _ => return Outcome::exception("_OTHER", "the statement failed"),
    };
    Outcome::exception(name, error)
}

//! The outcome of a command that failed, without the arguments that the server quotes.

use redis::{ErrorKind, RedisError, RedisResult, ServerError, Value};
use throughline::{Outcome, semconv};

/// The code with which the server answers `EVALSHA` if it does not have the script. This is not a failure: the script is
/// then loaded and called again, as by [`redis::Script`]. Otherwise, the caller gets the error.
const NO_SCRIPT: &str = "NOSCRIPT";

/// The outcome of a command.
pub(super) fn outcome(result: &RedisResult<Value>) -> Outcome {
    let code = match result {
        Ok(Value::ServerError(error)) => Some(error.code()),
        Ok(_) => None,
        Err(error) => error.code(),
    };
    if code == Some(NO_SCRIPT) {
        return Outcome::ok().attribute(semconv::DB_RESPONSE_STATUS_CODE, NO_SCRIPT);
    }
    match result {
        Ok(value) => first_error(value).map_or_else(Outcome::ok, of_server),
        Err(error) => of_error(error),
    }
}

/// The outcome of a pipeline.
pub(super) fn outcome_of_all(result: &RedisResult<Vec<Value>>) -> Outcome {
    match result {
        Ok(values) => values.iter().find_map(first_error).map_or_else(Outcome::ok, of_server),
        Err(error) => of_error(error),
    }
}

/// The first error in a reply. redis turns the whole reply into that error, too.
fn first_error(value: &Value) -> Option<&ServerError> {
    match value {
        Value::ServerError(error) => Some(error),
        Value::Array(values) | Value::Set(values) | Value::Push { data: values, .. } => {
            values.iter().find_map(first_error)
        }
        Value::Map(pairs) => pairs.iter().find_map(|(key, value)| first_error(key).or_else(|| first_error(value))),
        Value::Attribute { data, .. } => first_error(data),
        _ => None,
    }
}

fn of_server(error: &ServerError) -> Outcome {
    of_code(error.code(), error.details().unwrap_or_default())
}

fn of_error(error: &RedisError) -> Outcome {
    if let Some(code) = error.code() {
        return of_code(code, error.detail().unwrap_or_default());
    }
    let error_type = match error.kind() {
        ErrorKind::Io if error.is_timeout() => "timeout",
        ErrorKind::Io if error.is_connection_refusal() => "connection_refused",
        ErrorKind::Io if error.is_connection_dropped() => "connection_dropped",
        ErrorKind::Io => "io",
        ErrorKind::Parse => "parse",
        ErrorKind::AuthenticationFailed => "authentication_failed",
        ErrorKind::UnexpectedReturnType => "unexpected_return_type",
        ErrorKind::Client | ErrorKind::InvalidClientConfig => "client",
        ErrorKind::ClusterConnectionNotFound => "cluster_connection_not_found",
        _ => "_OTHER",
    };
    Outcome::exception(error_type, &without_quoted(&error.to_string()))
}

/// An error of the server. A script may return anything as its code.
fn of_code(code: &str, detail: &str) -> Outcome {
    let is_code = (1..=32).contains(&code.len())
        && code.bytes().all(|byte| byte.is_ascii_uppercase() || byte.is_ascii_digit() || byte == b'_');
    if !is_code {
        return Outcome::exception("_OTHER", "the server has answered with an error");
    }
    let message = format!("{code} {}", without_quoted(detail));
    Outcome::exception(code.to_owned(), message.trim_end()).attribute(semconv::DB_RESPONSE_STATUS_CODE, code.to_owned())
}

/// Replaces the arguments that the server quotes in its error about an unknown command, in a text that includes this
/// error. `None` if it does not include one.
pub(super) fn redact(text: &str) -> Option<String> {
    const MARK: &str = "with args beginning with:";
    let end = text.find(MARK)? + MARK.len();
    Some(format!("{} '?'", &text[..end]))
}

/// A message without its quoted parts, which may be arguments of the command.
fn without_quoted(message: &str) -> String {
    let quote = |c| matches!(c, '\'' | '"' | '`');
    match (message.find(quote), message.rfind(quote)) {
        (Some(first), Some(last)) => {
            let rest = if last > first { &message[last + 1..] } else { "" };
            format!("{}'?'{rest}", &message[..first])
        }
        _ => message.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn arguments_are_left_out_of_messages() {
        let cases = [
            ("unknown command 'FOO', with args beginning with: 'secret' 'x' ", "unknown command '?' "),
            ("No such key 'k' or consumer group 'g' in XREADGROUP", "No such key '?' in XREADGROUP"),
            ("can't read secret", "can'?'"),
            ("value is not an integer or out of range", "value is not an integer or out of range"),
        ];
        for (message, expected) in cases {
            assert_eq!(without_quoted(message), expected);
        }
    }

    #[test]
    fn arguments_of_redis_commands_are_left_out() {
        let said = "ERR: unknown command 'FOO', with args beginning with: 'hunter2' 'x' ";
        assert_eq!(redact(said).unwrap(), "ERR: unknown command 'FOO', with args beginning with: '?'");
    }
}

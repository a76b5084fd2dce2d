//! Error messages of the server, without the values that they quote.

/// The prefixes of the server's message in the `Display` and `Debug` output of sqlx's error.
const MARKS: [&str; 2] = ["error returned from database: ", "MySqlDatabaseError {"];

/// Replaces the values in a server message, in a text that includes an error of sqlx. `None` if it does not include
/// one.
pub(super) fn redact(text: &str) -> Option<String> {
    let from = MARKS.iter().filter_map(|mark| text.find(mark).map(|at| at + mark.len())).min()?;
    Some(format!("{}{}", &text[..from], without_values(&text[from..])))
}

/// Replaces the values in a message of MySQL or MariaDB, which may start with its number. Values are in single
/// quotes, and quotes in values are not escaped; names are in single quotes as well.
pub(super) fn without_values(message: &str) -> String {
    let number = message.split(|c: char| !c.is_ascii_digit()).find(|digits| digits.len() == 4);
    let number = number.and_then(|digits| digits.parse().ok()).unwrap_or(0_u16);
    let names_only = matches!(
        number,
        1007 | 1008 | 1046 | 1048
            ..=1054 | 1060 | 1061 | 1072 | 1091 | 1109 | 1146 | 1176 | 1264 | 1265 | 1305 | 1364 | 1406
    );
    // The one message with a value that is not quoted.
    if let (1526, Some(at)) = (number, message.find("for value ")) {
        return format!("{}for value '?'", &message[..at]);
    }
    // An apostrophe, as in `doesn't`, is neither the start of a value nor its end.
    let opens = |at: &usize| !message[..*at].ends_with(char::is_alphanumeric);
    let first = message.match_indices('\'').map(|(at, _)| at).find(opens);
    let (Some(first), Some(last)) = (first, message.rfind('\'')) else { return message.to_owned() };
    if names_only {
        return message.to_owned();
    }
    // The text before the first quote is the server's own.
    let before = &message[..first];
    let is_name = ["column ", "constraint ", "key ", "table "].iter().any(|what| before.ends_with(what));
    if is_name && last > first && name(&message[first + 1..last]) {
        return message.to_owned();
    }
    // A value may appear to end here, but not after the last of these.
    let tails = ["' for key '", "' for column '"];
    // The message of a syntax error quotes the statement.
    let tails = tails.iter().filter(|_| number != 1064);
    let tail = tails.filter_map(|tail| message.rfind(tail).map(|at| (at, at + tail.len()))).max();
    let rest = match tail {
        Some((at, from)) if at > first && from <= last && name(&message[from..last]) => &message[at + 1..],
        _ if last > first => &message[last + 1..],
        _ => "",
    };
    let rest = if rest.starts_with(char::is_alphanumeric) { "" } else { rest };
    format!("{before}'?'{rest}")
}

/// Whether `text` is the name of a column, a key or a table, and nothing else.
fn name(text: &str) -> bool {
    (1..=130).contains(&text.len()) && text.chars().all(|c| c.is_alphanumeric() || "_.$-".contains(c))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_are_left_out_of_messages_of_the_server() {
        for (said, shown) in [
            ("1062: Duplicate entry '1001' for key 'PRIMARY'", "1062: Duplicate entry '?' for key 'PRIMARY'"),
            ("1062: Duplicate entry 'ada' for key 'users.email'", "1062: Duplicate entry '?' for key 'users.email'"),
            ("1062: Duplicate entry 'o'brien' for key 'email'", "1062: Duplicate entry '?' for key 'email'"),
            ("1062: Duplicate entry 'a' for key 'b' for key 'email'", "1062: Duplicate entry '?' for key 'email'"),
            ("1062: Duplicate entry 'a' for key 'not a name!'", "1062: Duplicate entry '?'"),
            ("1062: Duplicate entry 'ada for ke", "1062: Duplicate entry '?'"),
            (
                "1366: Incorrect integer value: 'x' for column `t`.`a` at row 1",
                "1366: Incorrect integer value: '?' for column `t`.`a` at row 1",
            ),
            (
                "1366: Incorrect integer value: 'x' for column 'a' at row 1",
                "1366: Incorrect integer value: '?' for column 'a' at row 1",
            ),
            ("1406: Data too long for column 'a' at row 1", "1406: Data too long for column 'a' at row 1"),
            ("3819: Check constraint 'positive' is violated.", "3819: Check constraint 'positive' is violated."),
            ("1526: Table has no partition for value 1001", "1526: Table has no partition for value '?'"),
            ("1064: You have an error near 'SELEC 'pw'' at line 1", "1064: You have an error near '?' at line 1"),
            ("1064: an error near ' ' for column 'pw'' at line 1", "1064: an error near '?' at line 1"),
            ("1064: an error near 'a' for column 'pw'", "1064: an error near '?'"),
            ("1292: cannot take 'a' it doesn't fit", "1292: cannot take '?'"),
            ("1292: cannot take 'a", "1292: cannot take '?'"),
            ("1136: Column count doesn't match value count", "1136: Column count doesn't match value count"),
            ("1136: It doesn't fit: 'a'", "1136: It doesn't fit: '?'"),
            ("1146: Table 'test.orders' doesn't exist", "1146: Table 'test.orders' doesn't exist"),
            ("1213: Deadlock found when trying to get lock", "1213: Deadlock found when trying to get lock"),
        ] {
            assert_eq!(without_values(said), shown);
        }
    }

    #[test]
    fn values_are_left_out_of_texts_that_include_an_error() {
        let shown = |text: &str| redact(text).unwrap_or_else(|| text.to_owned());
        assert_eq!(
            shown("cannot write: error returned from database: 1062 (23000): Duplicate entry '1001' for key 'PRIMARY'"),
            "cannot write: error returned from database: 1062 (23000): Duplicate entry '?' for key 'PRIMARY'"
        );
        let debug = "Database(MySqlDatabaseError { code: Some(\"23000\"), number: 1062, message: \"Duplicate entry '1001' for key 'PRIMARY'\" })";
        assert_eq!(shown(debug), debug.replace("1001", "?"));
        assert_eq!(shown("the key 'a' is unknown"), "the key 'a' is unknown");
    }
}

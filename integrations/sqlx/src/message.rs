//! Error messages of the server, without the values that they quote.

/// The prefixes of the server's message in the `Display` and `Debug` output of sqlx's error.
const MARKS: [&str; 2] = ["error returned from database: ", "MySqlDatabaseError {"];

/// What precedes the value in the one message with a value that is not quoted, number 1526.
const UNQUOTED: &str = "for value ";

/// Replaces the values in a server message, in a text that includes an error of sqlx. `None` if it does not include
/// one.
pub(super) fn redact(text: &str) -> Option<String> {
    let starts = || MARKS.iter().flat_map(|mark| text.match_indices(mark).map(|(at, _)| at + mark.len()));
    let (before, said) = text.split_at(starts().min()?);
    if starts().count() == 1 {
        return Some(format!("{before}{}", without_values(said)));
    }
    // The number of the first error says nothing about the messages of the others, and a value may contain such a mark.
    let first = quotes(said).map(|(first, _)| first).into_iter().chain(said.find(UNQUOTED)).min();
    Some(first.map_or_else(|| text.to_owned(), |first| format!("{before}{}'?'", &said[..first])))
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
    if let (1526, Some(at)) = (number, message.find(UNQUOTED)) {
        return format!("{}{UNQUOTED}'?'", &message[..at]);
    }
    let Some((first, last)) = quotes(message).filter(|_| !names_only) else { return message.to_owned() };
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

/// The first quote of a message and the last one. An apostrophe, as in `doesn't`, is neither the start of a value nor
/// its end.
fn quotes(message: &str) -> Option<(usize, usize)> {
    let opens = |at: &usize| !message[..*at].ends_with(char::is_alphanumeric);
    let first = message.match_indices('\'').map(|(at, _)| at).find(opens)?;
    Some((first, message.rfind('\'')?))
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

        // The first of two errors has a number whose message has only names, or a value that is not quoted.
        let missing = "error returned from database: 1146 (42S02): Table 'shop.audit' doesn't exist";
        let duplicate = "error returned from database: 1062 (23000): Duplicate entry 'ada' for key 'email'";
        let both = shown(&format!("cannot log: {missing}; cannot store: {duplicate}"));
        assert!(both.starts_with("cannot log: error returned from database: 1146 (42S02): Table "), "{both}");
        assert!(!both.contains("ada"), "{both}");
        let debug = format!(
            "[Database(MySqlDatabaseError {{ number: 1146, message: \"Table 'a' doesn't exist\" }}), {duplicate}]"
        );
        assert!(!shown(&debug).contains("ada"), "{}", shown(&debug));
        let unquoted = "error returned from database: 1526 (HY000): Table has no partition for value 1001";
        assert!(!shown(&format!("{missing}; {unquoted}")).contains("1001"));
        assert!(!shown(&format!("{unquoted}; {missing}")).contains("1001"));
        let locked = "error returned from database: 1205 (HY000): Lock wait timeout exceeded";
        assert_eq!(shown(&format!("{locked}; {locked}")), format!("{locked}; {locked}"));
        // A value that contains the beginning of an error.
        let packed = duplicate.replace("ada", &format!("ada {missing} ada"));
        assert!(!shown(&packed).contains("ada"), "{}", shown(&packed));
    }
}

//! No value is shown, whatever the statement and the error.

use std::io;

use sqlx::Error;
use throughline::testing::Capture;

use super::*;
use crate::failure::outcome;

#[test]
fn an_error_has_its_type_and_shows_no_value() {
    let column = Error::ColumnDecode { index: "hunter2".into(), source: "hunter2".into() };
    for (error, error_type) in [
        (Error::Io(io::ErrorKind::TimedOut.into()), "timeout"),
        (Error::Io(io::ErrorKind::BrokenPipe.into()), "Io"),
        (Error::Tls("no certificate".into()), "Tls"),
        (Error::Protocol("an unknown packet".into()), "Protocol"),
        (Error::PoolTimedOut, "PoolTimedOut"),
        (Error::PoolClosed, "PoolClosed"),
        (Error::WorkerCrashed, "WorkerCrashed"),
        (Error::BeginFailed, "BeginFailed"),
        (Error::InvalidSavePointStatement, "InvalidSavePointStatement"),
        (Error::Configuration("hunter2".into()), "Configuration"),
        (Error::Encode("hunter2".into()), "Encode"),
        (Error::Decode("hunter2".into()), "Decode"),
        (column, "Decode"),
        (Error::InvalidArgument("hunter2".into()), "_OTHER"),
    ] {
        let capture = Capture::new();
        capture.run(|| throughline::span("query").start()).end(|| outcome(&error));
        let span = capture.span("query");
        assert!(span.is_error());
        assert_eq!(span.attribute("error.type"), Some(&error_type.into()));
        assert!(!format!("{span:?}").contains("hunter2"), "{span:?}");
    }
    let capture = Capture::new();
    capture.run(|| throughline::span("query").start()).end(|| outcome(&Error::RowNotFound));
    assert!(!capture.span("query").is_error());
}

#[tokio::test]
async fn texts_of_errors_show_no_values() {
    let pool = sqlx::MySqlPool::connect_lazy("mysql://root@127.0.0.1:9/test").expect("a URL");
    drop(Database::new(pool));
    let said = "cannot store: error returned from database: 1062 (23000): Duplicate entry 'ada' for key 'email'";
    assert_eq!(throughline::redact::text(said), Some(said.replace("ada", "?")));
}

/// A literal with `SECRET` in it, in any form that MySQL has.
fn literal() -> impl Strategy<Value = String> {
    let inside = prop::collection::vec(
        prop_oneof![
            Just("''".to_owned()),
            Just("\"\"".to_owned()),
            Just("`".to_owned()),
            Just(r"\\".to_owned()),
            Just("-- ".to_owned()),
            Just("#".to_owned()),
            Just("/*".to_owned()),
            Just("*/".to_owned()),
            Just(";".to_owned()),
            Just("?".to_owned()),
            Just("\n".to_owned()),
            "[ a-z(),.=é]{0,4}",
        ],
        0..6,
    );
    (inside.clone(), inside, 0..4usize).prop_map(|(before, after, form)| {
        let text = format!("{}SECRET{}", before.concat(), after.concat());
        match form {
            0 => format!("'{}'", text.replace("\"\"", "\"").replace('\'', "")),
            1 => format!("\"{}\"", text.replace("''", "'").replace('"', "")),
            2 => format!("'{}'", text.replace('\'', r"\'").replace('"', "")),
            _ => format!("N'{}'", text.replace('"', "")),
        }
    })
}

fn statement() -> impl Strategy<Value = String> {
    let piece = prop_oneof![
        literal(),
        Just("SELECT a FROM t WHERE b =".to_owned()),
        Just("`na\"me'`".to_owned()),
        Just("IN (".to_owned()),
        Just(")".to_owned()),
        Just(",".to_owned()),
        Just("?".to_owned()),
        Just("/* it's */".to_owned()),
        Just("-- it's\n".to_owned()),
        Just("AND".to_owned()),
    ];
    prop::collection::vec(piece, 1..12).prop_map(|pieces| pieces.join(" "))
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(4096) })]

    #[test]
    fn no_literal_survives(sql in statement()) {
        let said = format!("{:?}", Statement::of(&sql));
        prop_assert!(!said.contains("SECRET"), "{sql}\n{said}");
    }

    /// Even if the SQL mode of the server makes a difference.
    #[test]
    fn no_literal_survives_without_escapes(words in prop::collection::vec(r#"[ab\\'", ]{0,5}"#, 1..6)) {
        // Read as the server does under `NO_BACKSLASH_ESCAPES`: what is in quotes is a literal.
        let sql = format!("SELECT {}", words.iter().map(|word| format!("'SECRET{}'", word.replace('\'', ""))).collect::<Vec<_>>().join(", "));
        let said = format!("{:?}", Statement::of(&sql));
        prop_assert!(!said.contains("SECRET"), "{sql}\n{said}");
    }

    #[test]
    fn any_text_is_bounded(sql in "(?s).{0,200}") {
        let statement = Statement::of(&sql);
        if let Some(text) = &statement.text {
            prop_assert!(text.len() <= 2048 + 3);
            prop_assert!(statement.summary.is_none_or(|summary| summary.len() <= 255));
        }
    }

    #[test]
    fn a_recorded_text_contains_no_literals(sql in r#"[a-zA-Z0-9_$'"`\\/*+#; \n.,()=?-]{0,60}"#) {
        if let Some(text) = Statement::of(&sql).text {
            let quotes = text.split('`').step_by(2).any(|outside| outside.contains(['\'', '"', '\\', '#']));
            prop_assert!(!quotes, "{sql}\n{text}");
            let numbers = text.split('`').step_by(2).flat_map(|outside| outside.split(|c: char| !(c.is_alphanumeric() || c == '_' || c == '$')));
            for word in numbers {
                prop_assert!(!word.starts_with(|c: char| c.is_ascii_digit()), "{sql}\n{text}");
            }
        }
    }
}

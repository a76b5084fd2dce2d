//! The text of a statement, without its literals.

use super::*;

#[test]
fn literals_are_replaced() {
    let cases = [
        ("SELECT * FROM t WHERE a = 'x'", "SELECT * FROM t WHERE a = ?"),
        ("SELECT * FROM t WHERE a='x'AND b=\"y\"", "SELECT * FROM t WHERE a=?AND b=?"),
        ("SELECT 'it''s', \"say \"\"x\"\"\", ''", "SELECT ?, ?, ?"),
        (r"SELECT 'it\'s', 'back\\'", "SELECT ?, ?"),
        (r#"SELECT "a\"b", 'c'"#, "SELECT ?, ?"),
        ("SELECT 'a' 'b'\n'c'", "SELECT ?"),
        ("SELECT 1, -2, 3.5, .5, 1., 1e5, 1.5E-3, 0x1F, 0b01", "SELECT ?, -?, ?, ?, ?, ?, ?, ?, ?"),
        ("SELECT x'4D', X'4d', b'01', B'1', N'n', n'n'", "SELECT ?, ?, ?, ?, ?, ?"),
        ("SELECT _utf8mb4'x', _binary 'x'", "SELECT _utf8mb4 ?, _binary ?"),
        ("SELECT DATE '2020-01-01', TRUE, false, NULL", "SELECT DATE ?, ?, ?, NULL"),
        ("SELECT a + INTERVAL 7 DAY", "SELECT a + INTERVAL ? DAY"),
        ("SELECT t1.c2, `3`, @x, @'x y', @@sql_mode, a$b", "SELECT t1.c2, `3`, @x, @?, @@sql_mode, a$b"),
        ("SELECT 2fa_codes FROM t", "SELECT ? FROM t"),
        ("SELECT a FROM t LIMIT 10, 20", "SELECT a FROM t LIMIT ?, ?"),
        ("SELECT `a``b` FROM `my table`", "SELECT `a``b` FROM `my table`"),
        ("SELECT größe FROM maße WHERE s = 'ß'", "SELECT größe FROM maße WHERE s = ?"),
        ("SELECT ?, a -> '$.x', b ->> \"$.y\"", "SELECT ?, a -> ?, b ->> ?"),
        ("CREATE USER u IDENTIFIED BY 'hunter2'", "CREATE USER u IDENTIFIED BY ?"),
    ];
    for (sql, expected) in cases {
        assert_eq!(text(sql).as_deref(), Some(expected), "{sql}");
    }
}

#[test]
fn lists_are_one_value() {
    let cases = [
        ("a IN (1, 2, 3) AND b", "a IN (?) AND b"),
        ("a in ('x')", "a in (?)"),
        ("a NOT IN ( ?, ?,? )", "a NOT IN ( ? )"),
        ("a IN (1, b, 2)", "a IN (?, b, ?)"),
        ("a IN (1, (2))", "a IN (?, (?))"),
        ("a IN (SELECT 1, 2)", "a IN (SELECT ?, ?)"),
        ("f(1, 2)", "f(?, ?)"),
        ("VALUES (1, 2), (3, 4)", "VALUES (?, ?), (?, ?)"),
    ];
    for (sql, expected) in cases {
        assert_eq!(text(sql).as_deref(), Some(expected), "{sql}");
    }
}

#[test]
fn comments_and_space_are_left_out() {
    let cases = [
        ("SELECT 1 -- secret\n, 2", "SELECT ? , ?"),
        ("SELECT 1 # secret 'x\n, 2", "SELECT ? , ?"),
        ("SELECT/* secret ' \" ` */1", "SELECT ?"),
        ("SELECT 5--3", "SELECT ?--?"),
        ("/* traceparent='00-1-2-01' */ SELECT a", "SELECT a"),
        ("SELECT /*+ MAX_EXECUTION_TIME(1000) */ a", "SELECT a"),
        ("  SELECT\r\n\t a\n;\n", "SELECT a ;"),
        ("SELECT a --", "SELECT a"),
        ("", ""),
    ];
    for (sql, expected) in cases {
        assert_eq!(text(sql).as_deref(), Some(expected), "{sql}");
    }
}

#[test]
fn texts_with_uncertain_literals_are_left_out() {
    let cases = [
        "SELECT 'secret",
        "SELECT \"secret",
        "SELECT `secret",
        "SELECT a /* secret",
        r"SELECT 'secret\'",
        r"SELECT 'it\'s secret', 'x",
        // Two strings with a word between, or one string with words around it, depending on the SQL mode.
        r"SELECT 'a\', 'secret', 'b\'",
        r#"SELECT "a\", "secret", "b\""#,
        r#"SELECT 'a\'b', "c\", "secret", "d\""#,
        // Executed or not, depending on the version.
        "/*!50000 SELECT '*/ secret ' */",
        "/*M!100000 SELECT '*/ secret ' */",
        "SELECT /*+ SET_VAR(a='*/ secret ') */ 1",
        "SELECT /* /* */ secret */ 1",
        "CREATE FUNCTION f() RETURNS INT LANGUAGE JAVASCRIPT AS $$ secret $$",
        "SELECT $tag$ secret $tag$",
        "SELECT \\N, secret",
        "SELECT \0 secret",
    ];
    for sql in cases {
        let statement = Statement::of(sql);
        assert_eq!(statement.text, None, "{sql}");
        let said = format!("{statement:?}");
        assert!(!said.contains("secret"), "{sql}: {said}");
    }
    assert_eq!(Statement::of(" SELECT 'secret").summary.as_deref(), Some("SELECT"));
}

#[test]
fn huge_texts_are_cut() {
    let columns = format!("SELECT {} FROM t", vec!["column"; 100_000].join(", "));
    let cut = text(&columns).expect("understood");
    assert!(cut.len() <= 2048 + '…'.len_utf8() && cut.ends_with('…'), "{}", cut.len());

    let blob = format!("INSERT INTO t VALUES ('{}')", "secret ".repeat(1_000_000));
    let statement = Statement::of(&blob);
    assert_eq!(statement.text.as_deref(), Some("INSERT INTO t VALUES (?…"));
    assert_eq!(statement.summary.as_deref(), Some("INSERT t"));

    // Cut in the middle of an escape, of a character, of a comment.
    for filler in [r"\'", "é", "''"] {
        for shift in 0..4 {
            let sql = format!("SELECT '{}{}', 'secret'", "x".repeat(shift), filler.repeat(70_000));
            assert_ne!(text(&sql).map(|text| text.contains("secret")), Some(true));
        }
    }
    assert_eq!(text(&format!("SELECT a /* {}", "x".repeat(100_000))).as_deref(), Some("SELECT a…"));
    let deep = format!("SELECT {}1{}", "(".repeat(100_000), ")".repeat(100_000));
    assert!(text(&deep).is_some_and(|text| text.len() < 3000));
}

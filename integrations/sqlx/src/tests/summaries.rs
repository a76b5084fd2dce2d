//! The operations and tables of a statement.

use super::*;

#[test]
fn summaries_name_operations_and_tables() {
    let cases = [
        ("SELECT * FROM orders", "SELECT orders"),
        ("select id from `my orders` o where x in (1)", "select my orders"),
        ("SELECT * FROM shop.orders AS o", "SELECT shop.orders"),
        ("SELECT * FROM `shop`.`orders`", "SELECT shop.orders"),
        ("SELECT * FROM a, b c, d", "SELECT a b d"),
        ("SELECT * FROM a x JOIN b ON x.i = b.i LEFT JOIN c USING (i)", "SELECT a b c"),
        ("SELECT * FROM a x JOIN a y ON x.i = y.j", "SELECT a a"),
        ("SELECT 1", "SELECT"),
        ("SELECT 1 FROM DUAL", "SELECT"),
        ("SELECT EXTRACT(YEAR FROM d), TRIM(BOTH 'x' FROM n) FROM t", "SELECT t"),
        ("SELECT a, (SELECT max(b) FROM u) FROM t", "SELECT SELECT u t"),
        ("SELECT * FROM (SELECT * FROM a) x, b", "SELECT SELECT a b"),
        ("SELECT * FROM (a, b)", "SELECT a b"),
        ("SELECT * FROM a WHERE EXISTS (SELECT 1 FROM b)", "SELECT a SELECT b"),
        ("(SELECT a FROM t) UNION (SELECT a FROM u)", "SELECT t SELECT u"),
        ("SELECT a FROM t FOR UPDATE", "SELECT t"),
        ("SELECT a FROM t GROUP BY a ORDER BY b, c LIMIT 1", "SELECT t"),
        ("WITH x AS (SELECT a FROM t), y (b) AS (SELECT 1) SELECT * FROM x JOIN y", "SELECT t SELECT SELECT"),
        ("WITH RECURSIVE x AS (SELECT 1) DELETE FROM t WHERE a IN (SELECT * FROM x)", "SELECT DELETE t SELECT"),
        ("INSERT INTO t (a, b) VALUES (1, 2)", "INSERT t"),
        ("INSERT IGNORE t SET a = 1", "INSERT t"),
        ("INSERT INTO t VALUES (1) ON DUPLICATE KEY UPDATE a = b, c = d", "INSERT t"),
        ("INSERT INTO t SELECT * FROM u", "INSERT t SELECT u"),
        ("INSERT INTO t (a) SELECT REPLACE(b, 'x', 'y') FROM u", "INSERT t SELECT u"),
        ("INSERT INTO t (a) VALUES (1) RETURNING id", "INSERT t"),
        ("REPLACE INTO t VALUES (1)", "REPLACE t"),
        ("UPDATE LOW_PRIORITY t SET a = 1 WHERE b = 2", "UPDATE t"),
        ("UPDATE a, b SET a.x = b.x", "UPDATE a b"),
        ("DELETE FROM t WHERE a = 1", "DELETE t"),
        ("DELETE a FROM a JOIN b ON a.i = b.i", "DELETE a b"),
        (
            "CREATE TABLE IF NOT EXISTS t (id INT, FOREIGN KEY (u) REFERENCES u (id) ON UPDATE CASCADE)",
            "CREATE TABLE t",
        ),
        ("CREATE TEMPORARY TABLE t SELECT * FROM u", "CREATE TABLE t SELECT u"),
        ("CREATE UNIQUE INDEX i ON t (a)", "CREATE INDEX t"),
        ("CREATE OR REPLACE VIEW v AS SELECT * FROM t", "CREATE VIEW v SELECT t"),
        ("CREATE DATABASE IF NOT EXISTS d", "CREATE DATABASE"),
        ("CREATE TRIGGER g BEFORE INSERT ON t FOR EACH ROW SET NEW.a = 1", "CREATE TRIGGER"),
        ("CREATE PROCEDURE p() BEGIN SELECT 1; DELETE FROM t; END", "CREATE PROCEDURE"),
        ("CREATE FUNCTION f() RETURNS INT RETURN 1; SELECT * FROM t", "CREATE FUNCTION; SELECT t"),
        ("DROP PROCEDURE p; BEGIN; DELETE FROM t", "DROP PROCEDURE; BEGIN; DELETE t"),
        ("ALTER TABLE t ADD COLUMN a INT", "ALTER TABLE t"),
        ("DROP TABLE IF EXISTS t, u", "DROP TABLE t u"),
        ("TRUNCATE TABLE t", "TRUNCATE t"),
        ("CALL restock(1)", "CALL restock"),
        ("LOAD DATA INFILE 'f' INTO TABLE t", "LOAD t"),
        ("SET @a = (SELECT 1)", "SET"),
        ("GRANT SELECT ON shop.* TO u", "GRANT"),
        ("SHOW TABLES FROM d", "SHOW"),
        ("EXPLAIN SELECT * FROM t", "EXPLAIN SELECT t"),
        ("BEGIN", "BEGIN"),
        ("INSERT INTO t VALUES (1); UPDATE u SET a = 1;", "INSERT t; UPDATE u"),
        ("BEGIN NOT ATOMIC SELECT 1; END", "BEGIN"),
        ("SELECT a FROM t; SIGNAL SQLSTATE '45000'; DO 1", "SELECT t; DO"),
        ("SELECT a FROM t;", "SELECT t"),
    ];
    for (sql, expected) in cases {
        assert_eq!(summary(sql), expected, "{sql}");
    }
    assert_eq!(Statement::of("bob FROM orders").summary, None);
}

/// The summary of a statement, or `-`.
fn summary(sql: &str) -> String {
    Statement::of(sql).summary.unwrap_or_else(|| "-".to_owned())
}

#[test]
fn summaries_of_the_semantic_conventions() {
    let cases = [
        ("SELECT *\nFROM   wuser_table\nWHERE  username = ?", "SELECT wuser_table"),
        (
            "INSERT INTO shipping_details (order_id, address) SELECT order_id, address FROM orders WHERE order_id = ?",
            "INSERT shipping_details SELECT orders",
        ),
        ("SELECT * FROM songs, artists WHERE songs.artist_id = artists.id", "SELECT songs artists"),
        (
            "SELECT order_date FROM (SELECT * FROM orders o JOIN customers c ON o.customer_id = c.customer_id)",
            "SELECT SELECT orders customers",
        ),
        // Where the conventions keep quotes, we leave out what may be a literal, and write names without backticks.
        ("SELECT * FROM \"song list\", 'artists', `albums`", "SELECT albums"),
        ("call some_stored_procedure", "call some_stored_procedure"),
    ];
    for (sql, expected) in cases {
        assert_eq!(summary(sql), expected, "{sql}");
    }
}

#[test]
fn lists_of_tables_go_on_after_joins_and_parentheses() {
    let cases = [
        ("SELECT * FROM a JOIN b USING (i), c", "SELECT a b c"),
        ("SELECT * FROM a JOIN b ON (a.i, a.j) = (b.i, b.j), c", "SELECT a b c"),
        ("SELECT * FROM a LEFT JOIN (b, c) ON a.i = b.i, d", "SELECT a b c d"),
        ("SELECT * FROM ((a CROSS JOIN b))", "SELECT a b"),
        ("SELECT * FROM a NATURAL JOIN b STRAIGHT_JOIN c", "SELECT a b c"),
        ("SELECT STRAIGHT_JOIN x FROM a", "SELECT a"),
        ("SELECT * FROM a PARTITION (p, q) AS x, b", "SELECT a b"),
        ("SELECT * FROM a USE INDEX (i, j), b", "SELECT a b"),
        ("SELECT * FROM a USE INDEX FOR JOIN (i), b", "SELECT a b"),
        ("SELECT * FROM a FOR SYSTEM_TIME AS OF NOW() JOIN b", "SELECT a b"),
        ("SELECT * FROM a, LATERAL (SELECT * FROM b) x, c", "SELECT a SELECT b c"),
        ("SELECT * FROM (VALUES (x), (y)) v, a", "SELECT a"),
        ("SELECT * FROM JSON_TABLE(?, '$[*]' COLUMNS (a INT PATH '$')) j JOIN t", "SELECT t"),
        ("SELECT a FROM t WHERE (b, c) IN ((1, 2))", "SELECT t"),
        ("SELECT a FROM t ORDER BY f(b, c), d", "SELECT t"),
        ("SELECT a FROM t GROUP BY b, c WITH ROLLUP HAVING d", "SELECT t"),
        ("SELECT a FROM t WINDOW w AS (ORDER BY b), v AS (w)", "SELECT t"),
        ("SELECT a INTO @x FROM t LIMIT b, c", "SELECT t"),
        ("SELECT a FROM t FOR UPDATE OF t, u SKIP LOCKED", "SELECT t"),
        ("SELECT a FROM t LOCK IN SHARE MODE", "SELECT t"),
        ("SELECT a FROM t UNION ALL SELECT b FROM u ORDER BY c, d", "SELECT t SELECT u"),
        ("SELECT a FROM t UNION VALUES (1, b), (2, c)", "SELECT t"),
        ("((SELECT a FROM t) EXCEPT (SELECT a FROM u)) LIMIT 1", "SELECT t SELECT u"),
    ];
    for (sql, expected) in cases {
        assert_eq!(summary(sql), expected, "{sql}");
    }
}

#[test]
fn summaries_of_statements_that_write() {
    let cases = [
        ("INSERT INTO t (a) VALUES ((SELECT max(b) FROM u)), (c)", "INSERT t SELECT u"),
        ("INSERT INTO t SELECT * FROM u ON DUPLICATE KEY UPDATE a = b, c = d", "INSERT t SELECT u"),
        ("INSERT INTO t SET a = 1, b = 2 ON DUPLICATE KEY UPDATE b = 3", "INSERT t"),
        ("INSERT INTO t VALUES (1) AS new(a) ON DUPLICATE KEY UPDATE a = new.a", "INSERT t"),
        ("INSERT HIGH_PRIORITY INTO shop . `t` VALUES (1)", "INSERT shop.t"),
        ("INSERT INTO t WITH x AS (SELECT 1) SELECT * FROM x", "INSERT t SELECT SELECT"),
        ("REPLACE DELAYED t SET a = REPLACE(b, 'x', 'y')", "REPLACE t"),
        ("REPLACE INTO t SELECT * FROM u", "REPLACE t SELECT u"),
        ("UPDATE a JOIN b ON a.i = b.i SET a.x = b.x, a.y = 1", "UPDATE a b"),
        ("UPDATE t SET a = (SELECT max(b) FROM u), c = 1 WHERE d", "UPDATE t SELECT u"),
        ("UPDATE IGNORE t x, (SELECT i FROM u) y SET x.i = y.i", "UPDATE t SELECT u"),
        ("UPDATE t SET a = 1 ORDER BY b, c LIMIT 1", "UPDATE t"),
        ("DELETE a, b FROM a JOIN b JOIN c WHERE a.i = c.i", "DELETE a b c"),
        ("DELETE FROM a USING a JOIN b ON a.i = b.i", "DELETE a b"),
        ("DELETE FROM a.*, b.* USING a JOIN b", "DELETE a b b"),
        ("DELETE QUICK FROM t WHERE a = 1 RETURNING b, c", "DELETE t"),
        ("LOAD DATA LOCAL INFILE 'f' REPLACE INTO TABLE t (a, @b) SET c = @b", "LOAD t"),
        ("LOAD XML INFILE 'f' INTO TABLE t ROWS IDENTIFIED BY '<r>'", "LOAD t"),
        ("LOAD INDEX INTO CACHE t", "LOAD"),
        ("CALL shop.restock((SELECT 1), @x)", "CALL shop.restock SELECT"),
        ("CALL restock", "CALL restock"),
    ];
    for (sql, expected) in cases {
        assert_eq!(summary(sql), expected, "{sql}");
    }
}

#[test]
fn common_tables_are_not_tables() {
    let cases = [
        (
            "WITH a AS (SELECT * FROM t), b AS (SELECT * FROM a) UPDATE u JOIN b SET u.x = b.x",
            "SELECT t SELECT UPDATE u",
        ),
        ("SELECT * FROM (WITH x AS (SELECT * FROM t) SELECT * FROM x) y", "SELECT SELECT t SELECT"),
        ("(WITH x AS (SELECT * FROM t) SELECT * FROM x)", "SELECT t SELECT"),
        ("CREATE VIEW v AS WITH x AS (SELECT * FROM t) SELECT * FROM x", "CREATE VIEW v SELECT t SELECT"),
        ("WITH `x y` AS (SELECT 1) SELECT * FROM `x y`", "SELECT SELECT"),
        ("WITH x", "-"),
    ];
    for (sql, expected) in cases {
        assert_eq!(summary(sql), expected, "{sql}");
    }
}

#[test]
fn summaries_of_statements_about_tables_and_plans() {
    let cases = [
        ("CREATE DEFINER = CURRENT_USER() SQL SECURITY INVOKER VIEW v AS SELECT 1", "CREATE VIEW v SELECT"),
        ("CREATE USER 'u'@'%' IDENTIFIED BY 'secret'", "CREATE USER"),
        ("DROP INDEX i ON t", "DROP INDEX t"),
        ("DROP VIEW IF EXISTS v, w CASCADE", "DROP VIEW v w"),
        ("RENAME TABLE a TO b, c TO d", "RENAME TABLE a c"),
        ("ALTER TABLE t DISABLE KEYS, AUTO_INCREMENT = 5, ADD INDEX i (a)", "ALTER TABLE t"),
        ("CREATE TABLE t LIKE u", "CREATE TABLE t"),
        ("EXPLAIN FORMAT=JSON SELECT * FROM t", "EXPLAIN SELECT t"),
        ("EXPLAIN WITH x AS (SELECT 1) DELETE FROM t", "EXPLAIN SELECT DELETE t"),
        ("ANALYZE UPDATE t SET a = 1", "ANALYZE UPDATE t"),
        ("ANALYZE TABLE t UPDATE HISTOGRAM ON a", "ANALYZE"),
        ("DESC t", "DESC"),
    ];
    for (sql, expected) in cases {
        assert_eq!(summary(sql), expected, "{sql}");
    }
}

#[test]
fn each_statement_starts_anew() {
    let cases = [
        ("SELECT a FROM (t; DELETE FROM u", "SELECT t; DELETE u"),
        ("WITH x AS (SELECT 1; UPDATE t SET a = 1", "SELECT; UPDATE t"),
        ("CREATE UNIQUE; SELECT a FROM t", "CREATE; SELECT t"),
        ("LOAD DATA; SELECT a FROM t", "LOAD; SELECT t"),
        (";; SELECT a FROM t ;;", "SELECT t"),
        ("SELECT a FROM t; 'x'", "SELECT t"),
        ("`bob` SELECT a FROM t", "-"),
    ];
    for (sql, expected) in cases {
        assert_eq!(summary(sql), expected, "{sql}");
    }
}

#[test]
fn a_summary_is_short_and_cuts_no_name() {
    let tables: Vec<_> = (0..100).map(|at| format!("table_{at:03}")).collect();
    let statement = Statement::of(&format!("SELECT * FROM {}", tables.join(", ")));
    let summary = statement.summary.expect("there are tables");
    assert!(summary.len() <= 255, "{}", summary.len());
    assert!(summary.split(' ').skip(1).all(|name| name.len() == "table_000".len()), "{summary}");
}

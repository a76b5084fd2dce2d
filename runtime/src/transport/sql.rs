//! SQL statements, with `sqlx` on MySQL and MariaDB.

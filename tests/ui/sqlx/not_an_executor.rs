//! What is no executor of MySQL. In a folder of its own, because `trybuild` would compile sqlx once more for it:
//! `.ci/pages sqlx` expects the error of each marked line, and no other.

use sqlx::MySqlPool;
use throughline_sqlx::traced;

/// A pool of another version of sqlx looks the same.
mod sqlx_of_another_version {
    pub struct MySqlPool;
}

pub fn by_value(pool: MySqlPool) {
    traced(pool); //~ ERROR `Pool<MySql>` is not a MySQL executor
}

pub fn by_another_reference(pool: &mut MySqlPool) {
    traced(pool); //~ ERROR `&mut Pool<MySql>` is not a MySQL executor: expected `&MySqlPool`, `&mut MySqlConnection`,
}

pub fn of_another_version(pool: &sqlx_of_another_version::MySqlPool) {
    traced(pool); //~ ERROR `&MySqlPool` is not a MySQL executor
}

fn main() {}

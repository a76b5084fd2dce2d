//! The roles of second processes.

use std::env;

use crate::process::{ROLE, name};
use crate::{exit, notices, subscriber, tracing_layer, variables, wire};

pub(crate) const NAME: &str = "program::program";

/// The last line that a role prints.
pub(crate) const OVER: &str = "the role is over";

/// Not a test by itself: plays the role that the environment names.
#[test]
fn program() {
    assert_eq!(name!(program), NAME);
    let Ok(role) = env::var(ROLE) else { return };
    match role.as_str() {
        "send" => wire::send(),
        other => exit::play(other)
            .or_else(|| variables::play(other))
            .or_else(|| notices::play(other))
            .or_else(|| tracing_layer::play(other))
            .or_else(|| subscriber::play(other))
            .expect("a role of that name"),
    }
    println!("{OVER}");
}

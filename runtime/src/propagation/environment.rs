//! Environment variables as a carrier: OpenTelemetry's specification, "Environment Variables as Context Propagation
//! Carriers".

use std::collections::BTreeMap;
use std::process::Command;
use std::{env, fmt, mem};

use opentelemetry::Context;
use opentelemetry::propagation::{Extractor, Injector};

use crate::context::origin::Origin;

/// The environment of a process as a carrier to extract from, for programs that are started by another service, a
/// scheduler or a build tool.
///
/// A header is looked up under its normalized name: in uppercase, with an underscore for each character that is not a
/// letter or a digit, and not beginning with a digit. So `traceparent` is the variable `TRACEPARENT`, and
/// `x-b3-traceid` is `X_B3_TRACEID`. Variables with other names are ignored, and so are those that are not Unicode.
///
/// Read the environment when the program starts, and do not change it to pass a context on: it is the same for all
/// threads. [`EnvironmentMut`] sets the variables of one child process.
///
/// ```
/// use throughline::propagation::Environment;
/// use throughline::traced;
///
/// #[traced(parent = environment)]
/// fn run(environment: &Environment) {}
///
/// run(&Environment::of_process());
/// ```
#[derive(Clone, Default)]
pub struct Environment(BTreeMap<String, String>);

impl Environment {
    /// Returns a copy of the environment of this process.
    pub fn of_process() -> Self {
        let unicode =
            env::vars_os().filter_map(|(name, value)| Some((name.into_string().ok()?, value.into_string().ok()?)));
        unicode.collect()
    }
}

/// From the names and values of variables, such as those of a job that a scheduler describes.
impl<K: AsRef<str>, V: Into<String>> FromIterator<(K, V)> for Environment {
    fn from_iter<T: IntoIterator<Item = (K, V)>>(variables: T) -> Self {
        let variables = variables.into_iter().map(|(name, value)| (name.as_ref().to_owned(), value.into()));
        Self(variables.filter(|(name, _)| *name == normalized(name)).collect())
    }
}

impl Extractor for Environment {
    fn get(&self, key: &str) -> Option<&str> {
        self.0.get(&normalized(key)).map(String::as_str)
    }

    fn keys(&self) -> Vec<&str> {
        self.0.keys().map(String::as_str).collect()
    }
}

impl Origin for Environment {
    fn origin(&self) -> Context {
        super::extract(self)
    }
}

impl fmt::Debug for Environment {
    /// Does not show the variables, which may be secrets.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Environment").finish_non_exhaustive()
    }
}

/// The environment of a process that is about to be started, as a carrier to inject into.
///
/// Headers become variables with normalized names; see [`Environment`]. A process inherits the variables of its parent,
/// so those of the formats of this process's [`Propagator`](super::Propagator) are removed before the first one is set:
/// none is left of the context with which this process was started. If there is nothing to inject, that context is
/// inherited.
///
/// Other processes and users of the system may be able to read the variables. Restrict
/// [what is sent](super::Propagator::send_baggage), or use [`inject_filtered`](super::Propagator::inject_filtered), if
/// there are values in the baggage that they must not see.
///
/// ```no_run
/// use std::process::Command;
/// use throughline::propagation::{self, EnvironmentMut};
/// use throughline::traced;
///
/// #[traced]
/// fn build() -> std::io::Result<bool> {
///     let mut make = Command::new("make");
///     propagation::inject(&mut EnvironmentMut::new(&mut make));
///     Ok(make.status()?.success())
/// }
/// # build().unwrap();
/// ```
///
/// For the `Command` of Tokio, use `EnvironmentMut::new(command.as_std_mut())`.
#[derive(Debug)]
pub struct EnvironmentMut<'a> {
    command: &'a mut Command,
    /// Whether the variables that are inherited have not been removed yet.
    inherits: bool,
}

impl<'a> EnvironmentMut<'a> {
    /// Sets variables of `command`, which must not have been started.
    pub fn new(command: &'a mut Command) -> Self {
        Self { command, inherits: true }
    }
}

impl Injector for EnvironmentMut<'_> {
    fn set(&mut self, key: &str, value: String) {
        if mem::take(&mut self.inherits) {
            for field in &super::get().fields {
                self.command.env_remove(normalized(field));
            }
        }
        self.command.env(normalized(key), value);
    }
}

/// The name of the variable for a header ("Key Name Normalization").
fn normalized(key: &str) -> String {
    let character = |c: char| if c.is_ascii_alphanumeric() { c.to_ascii_uppercase() } else { '_' };
    let name: String = key.chars().map(character).collect();
    if name.is_empty() || name.starts_with(|first: char| first.is_ascii_digit()) { format!("_{name}") } else { name }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_normalized() {
        for (key, name) in [
            ("traceparent", "TRACEPARENT"),
            ("x-b3-traceid", "X_B3_TRACEID"),
            ("Uber-Trace-Id", "UBER_TRACE_ID"),
            ("", "_"),
            ("_a.b c", "_A_B_C"),
            ("3d", "_3D"),
            ("größe", "GR__E"),
            ("TRACE_ID_1", "TRACE_ID_1"),
        ] {
            assert_eq!(normalized(key), name);
            assert_eq!(normalized(name), name, "it is stable");
        }
    }

    #[test]
    fn only_variables_with_normalized_names_are_read() {
        let variables = [("X_B3_TRACEID", "a"), ("x-b3-spanid", "b"), ("traceparent", "c"), ("", "d"), ("3D", "e")];
        let environment: Environment = variables.into_iter().collect();
        assert_eq!(environment.keys(), ["X_B3_TRACEID"]);
        assert_eq!(environment.get("x-b3-traceid"), Some("a"));
        assert_eq!((environment.get("x-b3-spanid"), environment.get("traceparent")), (None, None));
        assert_eq!(format!("{environment:?}"), "Environment { .. }");
    }
}

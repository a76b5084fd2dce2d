use std::panic::Location;

use throughline::traced;

// A closure cannot be `#[track_caller]`, so the body stays where it is.
#[traced]
#[track_caller]
fn caller() -> u32 {
    Location::caller().line()
}

//! What requires a feature that is not enabled.

use throughline::assert_unbroken;

fn main() {
    let capture = throughline::testing::Capture::new();
    assert_unbroken!(capture);
    throughline::init().unwrap();
}

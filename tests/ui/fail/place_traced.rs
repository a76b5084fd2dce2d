use throughline::traced;

#[traced]
struct Struct;

#[traced]
enum Enum {
    One,
}

#[traced]
trait Trait {}

#[traced]
const CONST: u8 = 1;

#[traced]
static STATIC: u8 = 1;

#[traced]
mod module {}

#[traced]
use std::string as import;

#[traced]
unsafe extern "C" {}

#[traced]
extern crate std as alias;

#[traced]
type Alias = u8;

#[traced]
macro_rules! rules {
    () => {};
}

#[traced]
union Union {
    one: u8,
}

#[traced]
rules!();

fn main() {
    let _ = (Struct, Enum::One, CONST, STATIC, import::String::new(), Union { one: 1 });
    let _: Alias = 1;
}

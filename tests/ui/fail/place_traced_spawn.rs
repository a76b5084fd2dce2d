use throughline::traced_spawn;

#[traced_spawn]
struct Struct;

#[traced_spawn]
enum Enum {
    One,
}

#[traced_spawn]
trait Trait {}

#[traced_spawn]
const CONST: u8 = 1;

#[traced_spawn]
static STATIC: u8 = 1;

#[traced_spawn]
mod module {}

#[traced_spawn]
use std::string as import;

#[traced_spawn]
unsafe extern "C" {}

#[traced_spawn]
type Alias = u8;

#[traced_spawn]
macro_rules! rules {
    () => {};
}

#[traced_spawn]
union Union {
    one: u8,
}

#[traced_spawn]
rules!();

fn main() {
    let _ = (Struct, Enum::One, CONST, STATIC, import::String::new(), Union { one: 1 });
    let _: Alias = 1;
}

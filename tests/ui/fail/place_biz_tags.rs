use throughline::biz_tags;

#[biz_tags(id)]
struct Struct;

#[biz_tags(id)]
enum Enum {
    One,
}

#[biz_tags(id)]
trait Trait {}

#[biz_tags(id)]
const CONST: u8 = 1;

#[biz_tags(id)]
static STATIC: u8 = 1;

#[biz_tags(id)]
mod module {}

#[biz_tags(id)]
use std::string as import;

#[biz_tags(id)]
unsafe extern "C" {}

#[biz_tags(id)]
type Alias = u8;

#[biz_tags(id)]
macro_rules! rules {
    () => {};
}

#[biz_tags(id)]
union Union {
    one: u8,
}

#[biz_tags(id)]
rules!();

fn main() {
    let _ = (Struct, Enum::One, CONST, STATIC, import::String::new(), Union { one: 1 });
    let _: Alias = 1;
}

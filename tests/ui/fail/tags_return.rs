use throughline::{Snapshot, biz_tags, traced, traced_spawn};
use tokio::runtime::Handle;

#[biz_tags(no = text.parse::<u64>()?)]
fn question_mark(text: &str) -> Result<(), std::num::ParseIntError> {
    Ok(())
}

#[traced(tags(no = text.len() else text.find(',')?))]
async fn fallback(text: &str) -> Option<()> {
    None
}

#[traced(tags(no = if text.is_empty() { return 0 } else { 1 }))]
fn returning(text: &str) -> u64 {
    1
}

#[traced(tags(no = format!("no. {}", text.parse::<u64>()?)))]
fn in_a_macro(text: &str) -> Result<(), std::num::ParseIntError> {
    Ok(())
}

#[traced(parent = context?, link = context?, links = [context?])]
fn origins(context: Option<Snapshot>) -> Option<()> {
    None
}

#[traced_spawn(on = handle?)]
async fn job(handle: Option<Handle>) {}

#[biz_tags(first = (|| Some(text?.len()))())]
fn in_a_closure(text: Option<&str>) {}

fn main() {
    let _ = (question_mark(""), fallback(""), returning(""), in_a_macro(""), origins(None), job(None), in_a_closure(None));
}

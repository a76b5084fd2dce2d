use throughline::{biz_tags, traced};

#[traced]
fn use_after_move(text: String) -> usize {
    drop(text);
    text.len()
}

#[traced]
async fn use_after_move_later(text: String) -> usize {
    drop(text);
    text.len()
}

#[traced]
fn two_exclusive(list: &mut Vec<u64>) {
    let one = &mut *list;
    let two = &mut *list;
    one.push(1);
    two.push(2);
}

#[biz_tags(no)]
fn not_mutable(no: u64) -> u64 {
    no += 1;
    no
}

#[traced]
fn local_returned() -> &'static str {
    let text = String::new();
    &text
}

#[traced]
fn argument_returned(text: String) -> &'static str {
    &text
}

fn main() {
    use_after_move(String::new());
    drop(use_after_move_later(String::new()));
    two_exclusive(&mut Vec::new());
    not_mutable(1);
    local_returned();
    argument_returned(String::new());
}

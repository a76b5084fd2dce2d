use throughline::traced;

#[traced]
fn plain(no: u64) -> u64 {
    no + nought
}

#[traced]
async fn later(text: String) {
    text.shout();
}

#[traced]
fn own_names() -> u64 {
    // Names of generated code are not the user's.
    result + tags + span + arg0
}

fn main() {
    plain(1);
    drop(later(String::new()));
    own_names();
}

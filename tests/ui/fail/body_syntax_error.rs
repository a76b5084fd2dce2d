use throughline::traced;

#[traced]
fn plain() -> u64 {
    let no = 1 +;
    no
}

fn main() {
    plain();
}

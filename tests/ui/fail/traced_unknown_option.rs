use throughline::traced;

#[traced(colour = "red")]
fn foreign() {}

#[traced(nam = "place order")]
fn mistyped() {}

#[traced(Root, kind = server)]
fn capital() {}

fn main() {
    foreign();
    mistyped();
    capital();
}

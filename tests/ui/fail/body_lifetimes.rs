use throughline::traced;

#[traced]
fn longer<'a>(one: &'a str, two: &str) -> &'a str {
    if one.is_empty() { two } else { one }
}

#[traced]
async fn longer_later<'a>(one: &'a str, two: &str) -> &'a str {
    if one.is_empty() { two } else { one }
}

#[traced]
fn missing(one: &str, two: &str) -> &str {
    one
}

#[traced]
fn forever(text: &String) -> &'static str {
    text
}

fn main() {
    longer("1", "2");
    drop(longer_later("1", "2"));
    missing("1", "2");
}

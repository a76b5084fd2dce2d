use throughline::traced;

#[derive(Debug)]
struct Refused;

#[traced]
fn plain(text: &str) -> Result<u64, Refused> {
    let no: u64 = text.parse()?;
    Ok(no)
}

#[traced]
async fn later(text: &str) -> Result<u64, Refused> {
    let no: u64 = text.parse()?;
    Ok(no)
}

#[traced]
fn in_unit(text: &str) {
    let _: u64 = text.parse()?;
}

#[traced]
async fn in_unit_later(text: &str) {
    let _: u64 = text.parse()?;
}

fn main() {
    let _ = plain("1");
    drop(later("1"));
    in_unit("1");
    drop(in_unit_later("1"));
}

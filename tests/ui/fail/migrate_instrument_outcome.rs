use throughline::traced;

#[traced(err)]
fn alone() -> Result<(), String> {
    Ok(())
}

#[traced(err(Debug))]
fn debug() -> Result<(), String> {
    Ok(())
}

#[traced(err(Display), ret(Display))]
fn display() -> Result<u64, String> {
    Ok(1)
}

#[traced(err(level = "info"), ret(level = tracing::Level::WARN))]
fn level() -> Result<u64, String> {
    Ok(1)
}

#[traced(err(level = "info", Debug), ret(Debug))]
fn both() -> Result<u64, String> {
    Ok(1)
}

#[traced(err = Debug, ret = Debug)]
fn capitals() -> Result<u64, String> {
    Ok(1)
}

#[traced(err(off))]
fn off() -> Result<u64, String> {
    Ok(1)
}

fn main() {
    let _ = alone();
    let _ = debug();
    let _ = display();
    let _ = level();
    let _ = both();
    let _ = capitals();
    let _ = off();
}

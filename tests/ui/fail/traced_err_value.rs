use throughline::traced;

#[traced(err = yes)]
fn unknown() -> Result<(), String> {
    Ok(())
}

#[traced(err = "debug")]
fn quoted() -> Result<(), String> {
    Ok(())
}

#[traced(err)]
fn nothing() -> Result<(), String> {
    Ok(())
}

#[traced(err(debug))]
fn parentheses() -> Result<(), String> {
    Ok(())
}

fn main() {
    let _ = unknown();
    let _ = quoted();
    let _ = nothing();
    let _ = parentheses();
}

use throughline::traced;

#[traced]
fn plain(no: u64) -> u64 {
    if no > 1 {
        return "text";
    }
    no
}

#[traced]
async fn later(no: u64) -> Result<u64, String> {
    if no > 1 {
        return no;
    }
    Ok(no)
}

#[traced]
async fn without_value(no: u64) -> u64 {
    if no > 1 {
        return;
    }
    no
}

#[traced]
async fn with_value(no: u64) {
    if no > 1 {
        return no;
    }
}

fn main() {
    plain(1);
    drop(later(1));
    drop(without_value(1));
    drop(with_value(1));
}

use throughline::{traced, traced_spawn};

#[traced(nmae = "place")]
fn name() {}

#[traced(knd = server)]
fn kind() {}

#[traced(kind = sever)]
fn kind_value() {}

#[traced(kind = Client)]
fn kind_capital() {}

#[traced(server)]
fn kind_alone() {}

#[traced(tag(id))]
fn tags(id: u64) {}

#[traced(error = off)]
fn err() {}

#[traced(err = disply)]
fn err_value() -> Result<(), String> {
    Ok(())
}

#[traced(ret = debg)]
fn ret_value() -> u64 {
    1
}

#[traced(cancell = off)]
async fn cancel() {}

#[traced_spawn(bloking)]
fn blocking() {}

fn main() {
    name();
    kind();
    kind_value();
    kind_capital();
    kind_alone();
    tags(1);
    err();
    let _ = err_value();
    ret_value();
    let _ = cancel();
    let _handle: tokio::task::JoinHandle<()> = blocking();
}

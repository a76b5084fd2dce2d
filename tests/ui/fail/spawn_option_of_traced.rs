use throughline::traced_spawn;

#[traced_spawn(stream)]
async fn stream() {}

#[traced_spawn(skip)]
async fn skip() {}

fn main() {
    let _handle: tokio::task::JoinHandle<()> = stream();
    let _handle: tokio::task::JoinHandle<()> = skip();
}

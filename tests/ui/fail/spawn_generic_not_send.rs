use throughline::traced_spawn;

#[traced_spawn]
async fn job<T: 'static>(value: T) {
    drop(value);
}

fn main() {
    let _handle: tokio::task::JoinHandle<()> = job(1);
}

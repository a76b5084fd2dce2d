use throughline::traced_spawn;

#[traced_spawn]
async fn job(value: impl Iterator<Item = u64>) {
    drop(value);
}

fn main() {
    let _handle: tokio::task::JoinHandle<()> = job([1].into_iter());
}

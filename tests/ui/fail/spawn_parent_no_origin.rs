use throughline::traced_spawn;

#[traced_spawn(parent = no)]
async fn job(no: i32) {}

fn main() {
    let _handle: tokio::task::JoinHandle<()> = job(1);
}

use throughline::traced_spawn;

#[traced_spawn]
#[tokio::test]
async fn test() {}

#[traced_spawn(blocking)]
#[test]
fn plain_test() {}

mod below {
    #[tokio::main]
    #[throughline::traced_spawn]
    async fn main() {}
}

#[traced_spawn]
#[tokio::main]
async fn main() -> Result<(), String> {
    Ok(())
}

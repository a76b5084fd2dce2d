use throughline::traced;

#[traced]
async fn main() {}

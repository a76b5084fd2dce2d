//! The second process of a live test: plays one role, then prints its spans.

use std::io::BufRead as _;

use throughline::testing::Capture;
use throughline_live::{Arguments, SpanLine, roles};
use tokio::sync::watch;

/// A peer never outlives its test by more than this.
const LIMIT: std::time::Duration = std::time::Duration::from_secs(120);

#[tokio::main]
async fn main() {
    let role = std::env::args().nth(1).expect("the first argument names the role");
    let stop = follow_input();
    let capture = Capture::new();
    // For servers, which spawn tasks without a context.
    throughline::install(capture.provider());
    let work = capture.run_async(roles::play(&role, Arguments::of_process(), stop));
    tokio::time::timeout(LIMIT, work).await.expect("a role ends in time");
    throughline::jobs::wait(std::time::Duration::from_secs(10)).await.expect("detached jobs end in time");
    let spans: Vec<SpanLine> = capture.spans().iter().map(SpanLine::from).collect();
    println!("spans {}", serde_json::to_string(&spans).expect("spans are JSON"));
}

/// Becomes true when the test writes `stop`. If the input ends before that, the test is gone, and the process exits.
fn follow_input() -> watch::Receiver<bool> {
    let (send, receive) = watch::channel(false);
    std::thread::spawn(move || {
        for line in std::io::stdin().lock().lines().map_while(Result::ok) {
            if line == "stop" {
                let _ = send.send(true);
            }
        }
        if !*send.borrow() {
            std::process::exit(3);
        }
    });
    receive
}

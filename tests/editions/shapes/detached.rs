use std::sync::{Arc, Mutex};

use throughline::testing::Capture;
use throughline::{biz_tags, in_span, traced_spawn};

use super::harness::Noisy;

#[traced_spawn]
async fn task(a: Arc<Mutex<u32>>, (n, _): (u32, Noisy)) -> Result<u32, String> {
    tokio::task::yield_now().await;
    if n > 9 {
        return Err("too big".into());
    }
    Ok(n + *a.lock().unwrap())
}

#[traced_spawn(blocking)]
fn blocking(a: Arc<Mutex<u32>>, mut n: u32) -> u32 {
    n += 1;
    n + *a.lock().unwrap()
}

#[traced_spawn(thread, link)]
#[biz_tags(n)]
fn thread(n: u32) -> impl Iterator<Item = u32> + Send {
    0..n
}

#[biz_tags(n)]
#[traced_spawn(root)]
async fn root(n: u32) {}

#[tokio::test]
async fn jobs_run_in_every_edition() {
    let capture = Capture::new();
    let (small, big, blocking, thread, root) = capture.run(|| {
        in_span("outer", || {
            (
                task(Arc::default(), (1, Noisy("small"))),
                task(Arc::default(), (10, Noisy("big"))),
                blocking(Arc::default(), 1),
                thread(2),
                root(3),
            )
        })
    });
    assert_eq!(small.await.unwrap(), Ok(1));
    assert_eq!(big.await.unwrap(), Err("too big".to_owned()));
    assert_eq!(blocking.await.unwrap(), 2);
    assert_eq!(thread.join().unwrap().count(), 2);
    root.await.unwrap();
    let outer = capture.span("outer");
    let tasks = capture.named("task");
    assert!(tasks.len() == 2 && tasks.iter().all(|task| task.is_child_of(&outer)));
    assert!(capture.span("blocking").is_child_of(&outer));
    assert!(capture.span("thread").is_linked_to(&outer));
    assert_eq!(capture.span("thread").attribute("n"), Some(&2.into()));
    assert_eq!(capture.span("root").attribute("n"), Some(&3.into()));
    assert_eq!(capture.open(), 0);
}

//! How does the cost of a span grow with the number of live tasks?
//!
//! A recorded span, while this many futures wait with an open span each, in CPU time of the calling thread.
#![forbid(unsafe_code)]

use std::cell::RefCell;
use std::future::Future;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Waker};
use std::time::Duration;

use throughline_performance::calls::Mode;
use throughline_performance::rounds::{Bench, Variant, time};
use throughline_performance::stack::Setup;

type Tasks = Rc<RefCell<Vec<Pin<Box<dyn Future<Output = ()>>>>>>;

/// Adds waiting tasks up to `count`, each below a root of its own, like a request.
fn resize(tasks: &Tasks, mode: Mode, count: usize) {
    let mut tasks = tasks.borrow_mut();
    // Ending their spans is not measured, and would flood the queue: they stay open until the process ends.
    while tasks.len() < count {
        let mut task = mode.below_root(|| mode.waiting());
        mode.below_root(|| assert!(task.as_mut().poll(&mut Context::from_waker(Waker::noop())).is_pending()));
        tasks.push(task);
        if tasks.len() % 300 == 0 {
            std::thread::sleep(Duration::from_millis(3));
        }
    }
}

fn main() {
    // Tasks are only added, and are still waiting when the process ends.
    let tasks: Vec<Tasks> = Mode::TRACED.map(|_| Tasks::default()).into();
    let bench = Bench::new("tasks", &Setup::default());
    bench.run_in_steps([1, 10, 100, 1_000, 10_000, 100_000], |count| {
        Mode::TRACED
            .into_iter()
            .zip(&tasks)
            .map(|(mode, tasks)| {
                let tasks = Rc::clone(tasks);
                Variant::new(count.to_string(), mode.name(), mode, move |calls| {
                    resize(&tasks, mode, count);
                    mode.below_root(|| time(calls, || _ = mode.leaf("acme", 1001)))
                })
            })
            .collect()
    })
}

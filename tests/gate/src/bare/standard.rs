//! Threads, and requests without headers.

use std::thread::{Builder, scope, spawn};

use super::work;

fn threads() {
    let _ = spawn(work); //~ std::thread::spawn
    let _ = Builder::new().spawn(work); //~ std::thread::Builder::spawn
    scope(|scope| {
        let _ = scope.spawn(work); //~ std::thread::Scope::spawn
        let _ = Builder::new().spawn_scoped(scope, work); //~ std::thread::Builder::spawn_scoped
    });
}

fn crossbeam() {
    let _ = crossbeam_utils::thread::scope(|scope| {
        let _ = scope.spawn(|_| ()); //~ crossbeam_utils::thread::Scope::spawn
        let _ = scope.builder().spawn(|_| ()); //~ crossbeam_utils::thread::ScopedThreadBuilder::spawn
    });
}

async fn requests(client: &reqwest::Client, request: reqwest::Request) {
    let _ = client.get("http://localhost").send().await; //~ reqwest::RequestBuilder::send
    let _ = client.execute(request).await; //~ reqwest::Client::execute
    let _ = reqwest::get("http://localhost").await; //~ reqwest::get
}

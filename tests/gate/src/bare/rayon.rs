//! rayon's pools.

use rayon::{Scope, ScopeFifo, ThreadPool};

use super::work;

fn functions() {
    rayon::spawn(work); //~ rayon::spawn
    rayon::spawn_fifo(work); //~ rayon::spawn_fifo
    rayon::spawn_broadcast(|_| ()); //~ rayon::spawn_broadcast
    rayon::broadcast(|_| ()); //~ rayon::broadcast
    rayon::join(work, work); //~ rayon::join
    rayon::join_context(|_| (), |_| ()); //~ rayon::join_context
    rayon::scope(|_| ()); //~ rayon::scope
    rayon::scope_fifo(|_| ()); //~ rayon::scope_fifo
}

fn scopes<'a>(scope: &Scope<'a>, fifo: &ScopeFifo<'a>) {
    scope.spawn(|_| ()); //~ rayon::Scope::spawn
    scope.spawn_broadcast(|_, _| ()); //~ rayon::Scope::spawn_broadcast
    fifo.spawn_fifo(|_| ()); //~ rayon::ScopeFifo::spawn_fifo
    fifo.spawn_broadcast(|_, _| ()); //~ rayon::ScopeFifo::spawn_broadcast
}

fn pools(pool: &ThreadPool) {
    pool.install(work); //~ rayon::ThreadPool::install
    pool.join(work, work); //~ rayon::ThreadPool::join
    pool.scope(|_| ()); //~ rayon::ThreadPool::scope
    pool.scope_fifo(|_| ()); //~ rayon::ThreadPool::scope_fifo
    pool.broadcast(|_| ()); //~ rayon::ThreadPool::broadcast
    pool.spawn(work); //~ rayon::ThreadPool::spawn
    pool.spawn_fifo(work); //~ rayon::ThreadPool::spawn_fifo
    pool.spawn_broadcast(|_| ()); //~ rayon::ThreadPool::spawn_broadcast
}

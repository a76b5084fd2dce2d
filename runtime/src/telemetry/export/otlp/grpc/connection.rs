//! A connection whose tasks end with it.

use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError, Weak};

use hyper::rt::Executor;
use tokio::task::JoinSet;
use tonic::transport::{Channel, Endpoint};

/// A channel, and the tasks that drive its connection.
#[derive(Clone)]
pub(super) struct Connection {
    pub(super) channel: Channel,
    /// The tasks are aborted when nothing uses the connection anymore. By themselves, they would keep it open, with any
    /// abandoned request, for as long as the server does not allow a stream (`SETTINGS_MAX_CONCURRENT_STREAMS`).
    _tasks: Arc<Tasks>,
}

type Tasks = Mutex<JoinSet<()>>;

impl Connection {
    pub(super) fn lazy(endpoint: &Endpoint) -> Self {
        let tasks = Arc::<Tasks>::default();
        let channel = endpoint.clone().executor(Spawner(Arc::downgrade(&tasks))).connect_lazy();
        Self { channel, _tasks: tasks }
    }
}

/// Spawns the tasks of a connection. Weak, because the tasks themselves hold it.
struct Spawner(Weak<Tasks>);

impl Executor<Pin<Box<dyn Future<Output = ()> + Send>>> for Spawner {
    fn execute(&self, task: Pin<Box<dyn Future<Output = ()> + Send>>) {
        let Some(tasks) = self.0.upgrade() else { return };
        let mut tasks = tasks.lock().unwrap_or_else(PoisonError::into_inner);
        // Removes tasks that have ended.
        while tasks.try_join_next().is_some() {}
        tasks.spawn(task);
    }
}

#[cfg(test)]
mod tests {
    use std::convert::Infallible;

    use super::*;

    #[tokio::test]
    async fn tasks_are_removed_when_they_have_ended_and_aborted_with_their_connection() {
        let tasks = Arc::<Tasks>::default();
        let spawner = Spawner(Arc::downgrade(&tasks));
        for _ in 0..100 {
            spawner.execute(Box::pin(async {}));
            tokio::task::yield_now().await;
        }
        assert_eq!(tasks.lock().expect("not poisoned").len(), 1, "the last one, at most");
        let (held, is_dropped) = tokio::sync::oneshot::channel::<Infallible>();
        spawner.execute(Box::pin(async move {
            let _held = held;
            std::future::pending::<()>().await;
        }));
        tokio::task::yield_now().await;
        drop(tasks);
        assert!(is_dropped.await.is_err());
        spawner.execute(Box::pin(async { unreachable!("there is no connection") }));
    }
}

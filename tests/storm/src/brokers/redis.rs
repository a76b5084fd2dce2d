//! Redis: a stream with a consumer group, and the connection for commands.

use std::collections::VecDeque;

use redis::aio::MultiplexedConnection;
use redis::streams::{StreamId, StreamReadOptions, StreamReadReply};
use redis::{AsyncCommands as _, AsyncConnectionConfig, Client};

use super::GROUP;

pub(crate) async fn connect(address: &str) -> MultiplexedConnection {
    let client = Client::open(format!("redis://{address}")).expect("an address");
    // A blocking read must not time out.
    let patient = AsyncConnectionConfig::new().set_response_timeout(None);
    client.get_multiplexed_async_connection_with_config(&patient).await.expect("redis runs")
}

pub(super) async fn create_group(address: &str, stream: &str) {
    let mut connection = connect(address).await;
    let () = connection.xgroup_create_mkstream(stream, GROUP, "0").await.expect("the stream is new");
}

pub(crate) struct Producer {
    pub(crate) connection: MultiplexedConnection,
    pub(crate) stream: String,
}

impl Producer {
    pub(super) async fn connect(address: &str, stream: String) -> Self {
        Self { connection: connect(address).await, stream }
    }
}

pub(crate) struct Received {
    pub(crate) entry: StreamId,
    pub(crate) stream: String,
    connection: MultiplexedConnection,
}

impl Received {
    pub(super) async fn acknowledge(&self) {
        let mut connection = self.connection.clone();
        let _: i64 = connection.xack(&self.stream, GROUP, &[&self.entry.id]).await.expect("an answer");
    }
}

pub(crate) struct Consumer {
    reading: MultiplexedConnection,
    acknowledging: MultiplexedConnection,
    stream: String,
    read: VecDeque<StreamId>,
    /// While the pending entries of an earlier process are read: the ID of the last one so far.
    pending: Option<String>,
}

impl Consumer {
    pub(super) async fn connect(address: &str, stream: String, again: bool) -> Self {
        let (reading, acknowledging) = (connect(address).await, connect(address).await);
        let pending = again.then(|| "0".to_owned());
        Self { reading, acknowledging, stream, read: VecDeque::new(), pending }
    }

    pub(super) async fn next(&mut self) -> Received {
        loop {
            if let Some(entry) = self.read.pop_front() {
                return Received { entry, stream: self.stream.clone(), connection: self.acknowledging.clone() };
            }
            let options = StreamReadOptions::default().group(GROUP, "worker").block(200).count(64);
            let after = self.pending.as_deref().unwrap_or(">");
            let reply = self.reading.xread_options(&[&self.stream], &[after], &options).await;
            let reply: Option<StreamReadReply> = reply.expect("an answer");
            self.read.extend(reply.into_iter().flat_map(|reply| reply.keys).flat_map(|key| key.ids));
            if self.pending.is_some() {
                self.pending = self.read.back().map(|last| last.id.clone());
            }
        }
    }
}

//! A test double for the servers that are not running: queues with at-least-once delivery, and a store, over lines of
//! JSON on a connection to the storm's own process. If a connection breaks, its unsettled messages are delivered again.

use std::collections::{HashMap, VecDeque};
use std::sync::{Arc, Mutex};

use serde::{Deserialize, Serialize};
use tokio::io::{AsyncBufReadExt as _, AsyncWriteExt as _, BufReader, Lines};
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{Notify, mpsc};

/// A request of a client. `Call` stands for a command to Redis, or a statement.
#[derive(Debug, Serialize, Deserialize)]
enum Ask {
    Publish { queue: String, message: Stored },
    Consume { queue: String, prefetch: u16 },
    Settle { id: u64, requeue: bool },
    Call,
}

/// A message in a queue, or in flight to a consumer.
#[derive(Debug, Clone, Serialize, Deserialize)]
struct Stored {
    #[serde(default)]
    id: u64,
    #[serde(default)]
    redelivered: bool,
    headers: HashMap<String, String>,
    body: String,
}

#[derive(Default)]
struct Queue {
    ready: Mutex<VecDeque<Stored>>,
    filled: Notify,
}

impl Queue {
    fn push(&self, message: Stored, back: bool) {
        let mut ready = self.ready.lock().expect("no holder panics");
        if back {
            ready.push_back(message);
        } else {
            ready.push_front(message);
        }
        self.filled.notify_one();
    }

    /// Cancel safe: a message is only taken if it is returned.
    async fn pop(&self) -> Stored {
        loop {
            let filled = self.filled.notified();
            if let Some(message) = self.ready.lock().expect("no holder panics").pop_front() {
                return message;
            }
            filled.await;
        }
    }
}

#[derive(Default)]
struct Broker(Mutex<HashMap<String, Arc<Queue>>>);

impl Broker {
    fn queue(&self, name: &str) -> Arc<Queue> {
        Arc::clone(self.0.lock().expect("no holder panics").entry(name.to_owned()).or_default())
    }
}

/// Starts the double on the loopback interface, and returns its address.
pub(crate) async fn serve() -> String {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("loopback has a free port");
    let address = listener.local_addr().expect("a bound listener has an address").to_string();
    let broker = Arc::new(Broker::default());
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            tokio::spawn(connection(stream, Arc::clone(&broker)));
        }
    });
    address
}

fn line(value: &impl Serialize) -> Vec<u8> {
    let mut line = serde_json::to_vec(value).expect("it is JSON");
    line.push(b'\n');
    line
}

async fn connection(stream: TcpStream, broker: Arc<Broker>) {
    let _ = stream.set_nodelay(true);
    let (read, mut write) = stream.into_split();
    let mut lines = BufReader::new(read).lines();
    while let Ok(Some(text)) = lines.next_line().await {
        // A client that was killed may leave half a line.
        let Ok(ask) = serde_json::from_str::<Ask>(&text) else { return };
        match ask {
            Ask::Publish { queue, message } => broker.queue(&queue).push(message, true),
            Ask::Consume { queue, prefetch } => return deliver(lines, write, &broker.queue(&queue), prefetch).await,
            Ask::Settle { .. } | Ask::Call => {}
        }
        if write.write_all(b"ok\n").await.is_err() {
            return;
        }
    }
}

async fn deliver(mut lines: Lines<BufReader<OwnedReadHalf>>, mut write: OwnedWriteHalf, queue: &Queue, prefetch: u16) {
    let mut unsettled: HashMap<u64, Stored> = HashMap::new();
    let mut next = 0;
    loop {
        let room = unsettled.len() < usize::from(prefetch);
        tokio::select! {
            message = queue.pop(), if room => {
                next += 1;
                let message = Stored { id: next, ..message };
                let text = line(&message);
                unsettled.insert(next, message);
                if write.write_all(&text).await.is_err() {
                    break;
                }
            }
            text = lines.next_line() => {
                let Ok(Some(text)) = text else { break };
                let Ok(Ask::Settle { id, requeue }) = serde_json::from_str(&text) else { continue };
                if let Some(message) = unsettled.remove(&id).filter(|_| requeue) {
                    queue.push(Stored { redelivered: true, ..message }, true);
                }
            }
        }
    }
    for message in unsettled.into_values() {
        queue.push(Stored { redelivered: true, ..message }, false);
    }
}

/// A connection with one request in flight at a time.
struct Connection(tokio::sync::Mutex<(Lines<BufReader<OwnedReadHalf>>, OwnedWriteHalf)>);

impl Connection {
    async fn open(address: &str) -> Self {
        let stream = TcpStream::connect(address).await.expect("the storm runs");
        let _ = stream.set_nodelay(true);
        let (read, write) = stream.into_split();
        Self(tokio::sync::Mutex::new((BufReader::new(read).lines(), write)))
    }

    async fn ask(&self, ask: &Ask) {
        let mut connection = self.0.lock().await;
        connection.1.write_all(&line(ask)).await.expect("the storm runs");
        connection.0.next_line().await.expect("the storm runs");
    }
}

pub(crate) struct Producer {
    connection: Connection,
    pub(crate) queue: String,
}

impl Producer {
    pub(super) async fn connect(address: &str, queue: String) -> Self {
        Self { connection: Connection::open(address).await, queue }
    }

    pub(crate) async fn send(&self, headers: HashMap<String, String>, body: String) {
        let message = Stored { id: 0, redelivered: false, headers, body };
        self.connection.ask(&Ask::Publish { queue: self.queue.clone(), message }).await;
    }
}

/// The test double for a store.
pub(crate) struct Store(Connection);

impl Store {
    pub(crate) async fn connect(address: &str) -> Self {
        Self(Connection::open(address).await)
    }

    pub(crate) async fn call(&self) {
        self.0.ask(&Ask::Call).await;
    }
}

pub(crate) struct Received {
    id: u64,
    pub(crate) redelivered: bool,
    pub(crate) headers: HashMap<String, String>,
    pub(crate) body: String,
    pub(crate) queue: String,
    settle: mpsc::UnboundedSender<Ask>,
}

impl Received {
    pub(super) fn settle(&self, how: &str) {
        let _ = self.settle.send(Ask::Settle { id: self.id, requeue: how == "requeue" });
    }
}

pub(crate) struct Consumer {
    lines: Lines<BufReader<OwnedReadHalf>>,
    queue: String,
    settle: mpsc::UnboundedSender<Ask>,
}

impl Consumer {
    pub(super) async fn connect(address: &str, queue: String, prefetch: u16) -> Self {
        let (lines, mut write) = Connection::open(address).await.0.into_inner();
        write.write_all(&line(&Ask::Consume { queue: queue.clone(), prefetch })).await.expect("the storm runs");
        let (settle, mut settled) = mpsc::unbounded_channel();
        tokio::spawn(async move {
            while let Some(ask) = settled.recv().await {
                let _ = write.write_all(&line(&ask)).await;
            }
        });
        Self { lines, queue, settle }
    }

    pub(super) async fn next(&mut self) -> Received {
        let text = self.lines.next_line().await.expect("the storm runs").expect("the storm runs");
        let Stored { id, redelivered, headers, body } = serde_json::from_str(&text).expect("a message");
        Received { id, redelivered, headers, body, queue: self.queue.clone(), settle: self.settle.clone() }
    }
}

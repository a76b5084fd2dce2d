//! RocketMQ: an order is sent, and a listener receives it twice because billing it fails the first time. All of it is
//! one trace.
//!
//! ```text
//! cargo run --example rocketmq --features rocketmq
//! ```
//!
//! Needs a name server, at the address in `ROCKETMQ_NAMESRV` or else at 127.0.0.1:9876, and a broker that creates
//! topics automatically. Points of interest:
//!
//! * `send_traced` in place of `send` starts a span of kind producer, and adds its context to the properties of the
//!   message.
//! * On the receiving side, `parent = Delivery::new(message).group(…)` on the function that processes a message is all
//!   that is needed. The redelivered message is marked as such, and has the same parent.

use std::collections::HashMap;
use std::error::Error;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use rocketmq_client_rust::{
    ClientResult, ClientRuntime, ClientRuntimeConfig, ConsumeConcurrentlyContext, ConsumeConcurrentlyStatus,
    DefaultMQProducer, DefaultMQPushConsumer, MQPushConsumer as _, TelemetryHandle,
};
use rocketmq_model::common::consumer::consume_from_where::ConsumeFromWhere;
use rocketmq_model::common::message::message_ext::MessageExt;
use rocketmq_model::common::message::message_single::Message;
use rocketmq_runtime::RuntimeOwner;
use throughline::console::Console;
use throughline::telemetry::TracerProvider;
use throughline::{biz_tags, traced};
use throughline_rocketmq::{Delivery, ProducerExt as _};
use tokio::net::TcpStream;
use tokio::sync::mpsc;
use tokio::time::timeout;

#[tokio::main]
async fn main() -> Result<ExitCode, Box<dyn Error>> {
    let namesrv = std::env::var("ROCKETMQ_NAMESRV").unwrap_or_else(|_| "127.0.0.1:9876".to_owned());
    if TcpStream::connect(&namesrv).await.is_err() {
        eprintln!("no RocketMQ name server answers at {namesrv}; start one and its broker, or set ROCKETMQ_NAMESRV");
        return Ok(ExitCode::FAILURE);
    }

    let console = Console::stdout().hold();
    let provider = TracerProvider::builder().with_span_processor(console).build();
    throughline::install(&provider);

    // The client has its own runtime. With this handle it does not set a global subscriber.
    let owner = RuntimeOwner::new()?;
    let scope = owner.root_context().component("client");
    let runtime = ClientRuntime::try_new(scope, ClientRuntimeConfig::default(), TelemetryHandle::default())?;
    let result = run(&namesrv, &runtime).await;
    runtime.shutdown().await;
    owner.shutdown_tasks().await;
    owner.shutdown_background();

    provider.shutdown()?;
    result.map(|()| ExitCode::SUCCESS)
}

async fn run(namesrv: &str, runtime: &Arc<ClientRuntime>) -> Result<(), Box<dyn Error>> {
    let topic = format!("orders-{}", std::process::id());

    let mut producer =
        DefaultMQProducer::builder(Arc::clone(runtime)).producer_group("shop").name_server_addr(namesrv).build();
    producer.start().await?;
    producer.create_topic("TBW102", &topic, 1, HashMap::new()).await?;
    place_order(&producer, &topic, "acme", 1001).await?;

    let (told, mut attempts) = mpsc::unbounded_channel();
    let mut consumer = DefaultMQPushConsumer::builder(Arc::clone(runtime))
        .consumer_group("billing")
        .name_server_addr(namesrv)
        .consume_from_where(ConsumeFromWhere::ConsumeFromFirstOffset)
        .build();
    consumer.subscribe(topic.as_str(), "*").await?;
    consumer.register_message_listener_concurrently(
        move |messages: &[&MessageExt], _: &ConsumeConcurrentlyContext| -> ClientResult<ConsumeConcurrentlyStatus> {
            let billed = messages.iter().all(|message| bill(message).is_ok());
            let _ = told.send(());
            Ok(if billed {
                ConsumeConcurrentlyStatus::ConsumeSuccess
            } else {
                ConsumeConcurrentlyStatus::ReconsumeLater
            })
        },
    );
    consumer.start().await?;
    println!("the broker redelivers after 10 seconds …");
    for _ in 0..2 {
        timeout(Duration::from_secs(60), attempts.recv()).await?;
    }

    consumer.shutdown().await;
    producer.shutdown().await;
    Ok(())
}

#[traced(kind = server)]
#[biz_tags(propagate(tenant_id), order_no)]
async fn place_order(producer: &DefaultMQProducer, topic: &str, tenant_id: &str, order_no: u64) -> ClientResult<()> {
    let body = order_no.to_string();
    let order = Message::builder().topic(topic).tags("new").body_slice(body.as_bytes()).build_unchecked();
    producer.send_traced(order).await?;
    Ok(())
}

#[traced("process orders", kind = consumer, parent = Delivery::new(message).group("billing"))]
fn bill(message: &MessageExt) -> Result<(), &'static str> {
    if message.reconsume_times() == 0 { Err("the ledger is locked") } else { Ok(()) }
}

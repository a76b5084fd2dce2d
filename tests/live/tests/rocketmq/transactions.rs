//! Transactional messages.

use std::any::Any;

use rocketmq_client_rust::{LocalTransactionState, TransactionListener, TransactionMQProducer};
use rocketmq_model::common::message::message_ext::MessageExt;
use throughline::{Snapshot, in_span};

use super::*;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_transactional_message_has_its_type() {
    struct Commit;
    impl TransactionListener for Commit {
        fn execute_local_transaction(
            &self,
            _: &dyn MessageTrait,
            _: Option<&(dyn Any + Send + Sync)>,
        ) -> LocalTransactionState {
            LocalTransactionState::CommitMessage
        }
        fn check_local_transaction(&self, _: &MessageExt) -> LocalTransactionState {
            LocalTransactionState::CommitMessage
        }
    }
    let Some(lab) = Lab::open().await else { return };
    let mut producer = TransactionMQProducer::builder(lab.client.runtime())
        .producer_group(unique("transactions"))
        .name_server_addr(lab.namesrv.as_str())
        .transaction_listener(Commit)
        .build();
    producer.start().await.expect("started");
    let capture = Capture::new();
    let message = lab.message("transfer");
    let sending = rocketmq::send(message, |message| producer.send_message_in_transaction(message, None::<()>));
    capture.run_async(in_span_async("request", sending)).await.expect("sent");
    let spans = lab.consume("rocketmq-listen", &unique("transfers"), 1);

    let sent = SpanLine::from(&capture.span(&format!("send {}", lab.topic)));
    let received = only(&processed(&spans, "transfer"));
    assert!(received.is_child_of(&sent), "{received:?}");
    assert_eq!(sent.attribute("messaging.rocketmq.message.type"), Some("transaction"));
    assert_eq!(sent.attribute("throughline.rocketmq.transaction_state"), Some("commit"));
    assert_eq!(sent.attribute("throughline.rocketmq.queue_offset"), None, "that is of the broker's own topic");
    assert_eq!(received.attribute("throughline.rocketmq.queue_offset"), Some("0"));
    assert_eq!(received.attribute("messaging.rocketmq.message.type"), Some("transaction"));
    producer.shutdown().await;
    lab.close().await;
}

/// Rolls back, in the context that is the argument of the transaction.
struct Rollback;

impl TransactionListener for Rollback {
    fn execute_local_transaction(
        &self,
        _: &dyn MessageTrait,
        argument: Option<&(dyn Any + Send + Sync)>,
    ) -> LocalTransactionState {
        let context = argument.and_then(|argument| argument.downcast_ref::<Snapshot>()).expect("the context");
        context.run(|| in_span("charge card", || LocalTransactionState::RollbackMessage))
    }

    fn check_local_transaction(&self, _: &MessageExt) -> LocalTransactionState {
        LocalTransactionState::RollbackMessage
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_transaction_that_is_rolled_back_is_recorded() {
    let Some(lab) = Lab::open().await else { return };
    let mut producer = TransactionMQProducer::builder(lab.client.runtime())
        .producer_group(unique("transactions"))
        .name_server_addr(lab.namesrv.as_str())
        .transaction_listener(Rollback)
        .build();
    producer.start().await.expect("started");
    let capture = Capture::new();
    let sending = async {
        let send = |message| producer.send_message_in_transaction(message, Some(Snapshot::capture()));
        rocketmq::send(lab.message("rolled back"), send).await.expect("sent");
        lab.producer.send_traced(lab.message("later")).await.expect("sent");
    };
    capture.run_async(in_span_async("request", sending)).await;
    let topic = &lab.topic;
    capture.assert_tree_with(
        &["throughline.rocketmq.transaction_state"],
        &format!(
            "
            request
            ├── send {topic} [producer] throughline.rocketmq.transaction_state=rollback
            │   └── charge card
            └── send {topic} [producer]
            "
        ),
    );
    let spans = lab.consume("rocketmq-listen", &unique("transfers"), 1);
    assert!(processed(&spans, "rolled back").is_empty());
    assert_eq!(processed(&spans, "later").len(), 1);
    producer.shutdown().await;
    lab.close().await;
}

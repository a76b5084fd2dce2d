//! The path of one order through seven processes and every transport: one trace, one tree.

#[cfg(not(all(feature = "kafka", feature = "rocketmq")))]
#[test]
fn one_order_is_one_trace() {
    throughline_live::skip("built without the features `kafka` and `rocketmq`");
}

#[cfg(all(feature = "kafka", feature = "rocketmq"))]
mod way {
    use std::fmt::Write as _;

    use lapin::options::QueueDeclareOptions;
    use lapin::types::FieldTable;
    use lapin::{Connection, ConnectionProperties};
    use rdkafka::admin::{AdminClient, AdminOptions, NewTopic, TopicReplication};
    use rdkafka::client::DefaultClientContext;
    use rdkafka::config::ClientConfig;
    use throughline::testing::Capture;
    use throughline_live::roles::rocketmq::Client;
    use throughline_live::{Peer, SpanLine, server};
    use throughline_reqwest::RequestBuilderExt as _;

    const PEER: &str = env!("CARGO_BIN_EXE_peer");

    struct Servers {
        kafka: String,
        amqp: String,
        namesrv: String,
        redis: String,
        mariadb: String,
    }

    impl Servers {
        fn find() -> Option<Self> {
            Some(Self {
                kafka: server("kafka")?,
                amqp: format!("amqp://{}", server("rabbitmq")?),
                namesrv: server("rocketmq-namesrv")?,
                redis: format!("redis://{}", server("redis")?),
                mariadb: format!("mysql://root@{}", server("mariadb")?),
            })
        }

        /// Creates the Kafka topic, the queue, the RocketMQ topic, and the table, all named `name`.
        async fn prepare(&self, name: &str) {
            let admin: AdminClient<DefaultClientContext> =
                ClientConfig::new().set("bootstrap.servers", &self.kafka).create().expect("a configuration");
            let topic = NewTopic::new(name, 1, TopicReplication::Fixed(1));
            let created = admin.create_topics([&topic], &AdminOptions::new()).await.expect("an answer");
            assert!(created.iter().all(Result::is_ok), "{created:?}");

            let connection = Connection::connect(&self.amqp, ConnectionProperties::default()).await.expect("it runs");
            let channel = connection.create_channel().await.expect("a channel");
            let options = QueueDeclareOptions { durable: true, ..QueueDeclareOptions::default() };
            channel.queue_declare(name.into(), options, FieldTable::default()).await.expect("the queue is new");
            connection.close(200, "done".into()).await.expect("the connection closes");

            let client = Client::new(&self.namesrv);
            let mut producer = client.producer(&format!("{name}-prepare")).await;
            Client::create_topic(&mut producer, name).await;
            producer.shutdown().await;
            client.stop().await;

            let pool = sqlx::MySqlPool::connect(&self.mariadb).await.expect("it runs");
            for statement in [
                "CREATE DATABASE IF NOT EXISTS test".to_owned(),
                format!("CREATE TABLE test.`{name}` (order_no VARCHAR(32))"),
            ] {
                sqlx::query(sqlx::AssertSqlSafe(statement)).execute(&pool).await.expect("done");
            }
        }
    }

    /// A name that no earlier run has used.
    fn unique() -> String {
        let now = std::time::UNIX_EPOCH.elapsed().expect("after 1970").as_millis();
        format!("way-{}-{now}", std::process::id())
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn one_order_is_one_trace() {
        let Some(servers) = Servers::find() else { return };
        let name = unique();
        servers.prepare(&name).await;
        let mysql = format!("{}/test", servers.mariadb);
        let table = format!("`{name}`");
        let group = format!("{name}-shipping");

        // Each is ready before the one that calls it starts.
        let redis = [("redis", &*servers.redis), ("stream", &*name), ("mysql", &*mysql), ("table", &*table)];
        let redis = Peer::start(PEER, "way-redis", &redis);
        let rocketmq = [
            ("namesrv", &*servers.namesrv),
            ("topic", &*name),
            ("group", &*group),
            ("redis", &*servers.redis),
            ("stream", &*name),
        ];
        let rocketmq = Peer::start(PEER, "way-rocketmq", &rocketmq);
        let amqp = [
            ("amqp", &*servers.amqp),
            ("queue", &*name),
            ("namesrv", &*servers.namesrv),
            ("topic", &*name),
            ("group", &*name),
        ];
        let amqp = Peer::start(PEER, "way-amqp", &amqp);
        let kafka = [("brokers", &*servers.kafka), ("topic", &*name), ("amqp", &*servers.amqp), ("queue", &*name)];
        let kafka = Peer::start(PEER, "way-kafka", &kafka);
        for peer in [&redis, &rocketmq, &amqp, &kafka] {
            peer.ready();
        }
        let grpc = Peer::start(PEER, "way-grpc", &[("brokers", &servers.kafka), ("topic", &name)]);
        let http = Peer::start(PEER, "way-http", &[("grpc", &grpc.ready())]);
        let url = format!("http://{}/orders/1001", http.ready());

        let capture = Capture::new();
        let order = async {
            let request = reqwest::Client::new().post(url).header("x-tenant-id", "acme");
            let answer = request.send_traced().await.expect("an answer");
            answer.text().await.expect("a text")
        };
        let answer = capture.run_async(throughline::in_span_async("checkout", order)).await;
        assert_eq!(answer, "placed 1001");

        let mut spans: Vec<SpanLine> = capture.spans().iter().map(SpanLine::from).collect();
        // Downstream processes first: they end when the order has passed.
        for peer in [redis, rocketmq, amqp, kafka] {
            spans.extend(peer.spans());
        }
        spans.extend(http.stop());
        spans.extend(grpc.stop());

        let trace = &spans[0].trace_id;
        assert!(spans.iter().all(|span| span.trace_id == *trace), "one trace: {spans:#?}");
        let roots: Vec<_> = spans.iter().filter(|span| span.parent_id.is_none()).collect();
        assert_eq!(roots.len(), 1, "one root: {roots:#?}");
        let mut tree = String::new();
        draw(&spans, roots[0], 0, &mut tree);
        let tree = tree.replace(&name, "orders");
        let expected = "\
checkout
  POST [client]
    POST /orders/{order_no} [server] tenant_id=acme
      shop.Orders/Place [client] tenant_id=acme
        shop.Orders/Place [server] tenant_id=acme
          send orders [producer] tenant_id=acme
            reserve [consumer] tenant_id=acme
              publish orders [producer] tenant_id=acme
                bill [consumer] tenant_id=acme
                  send orders [producer] tenant_id=acme
                    ship [consumer] tenant_id=acme
                      send orders [producer] tenant_id=acme
                        archive [consumer] tenant_id=acme
                          store tenant_id=acme order_no=1001
                            INSERT orders [client] tenant_id=acme order_no=1001
";
        assert_eq!(tree, expected, "{spans:#?}");
        assert!(spans.iter().all(|span| !span.status.starts_with("error")), "{spans:#?}");
    }

    /// Draws the span and those below it, one per line.
    fn draw(spans: &[SpanLine], span: &SpanLine, depth: usize, out: &mut String) {
        let kind = if span.kind == "internal" { String::new() } else { format!(" [{}]", span.kind) };
        write!(out, "{:1$}{2}{kind}", "", depth * 2, span.name).expect("a string takes it");
        for key in ["tenant_id", "order_no"] {
            if let Some(value) = span.attribute(key) {
                write!(out, " {key}={value}").expect("a string takes it");
            }
        }
        out.push('\n');
        for child in spans.iter().filter(|other| other.is_child_of(span)) {
            draw(spans, child, depth + 1, out);
        }
    }
}

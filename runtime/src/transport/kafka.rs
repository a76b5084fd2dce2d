//! Kafka, with `rdkafka`.

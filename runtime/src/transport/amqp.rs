//! RabbitMQ, with `lapin`.

//! Redis commands and streams, with `redis`.

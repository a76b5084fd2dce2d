//! HTTP: server and client layers for tower.

pub(crate) mod headers;

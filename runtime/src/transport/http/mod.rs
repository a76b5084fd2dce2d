//! HTTP: server and client layers for tower.

//! Sockets, as Linux lists them.

use std::fs;
use std::net::SocketAddr;

/// The number of sockets that are connected to this IPv4 address and belong to a process. Those that were closed, and
/// that the system keeps until everything is sent, belong to none.
///
/// # Panics
///
/// If the list cannot be read.
pub fn connections_to(address: SocketAddr) -> usize {
    let port = format!(":{:04X}", address.port());
    let list = fs::read_to_string("/proc/net/tcp").expect("it can be read");
    let is_open = |line: &&str| {
        let fields: Vec<_> = line.split_whitespace().collect();
        fields[2].ends_with(&port) && fields[9] != "0"
    };
    list.lines().skip(1).filter(is_open).count()
}

//! The sockets that Linux lists.

use std::fs;
use std::net::SocketAddr;

/// The number of sockets that are connected to this IPv4 address and belong to a process. Not counted are closed
/// sockets that the system keeps until everything is sent.
///
/// # Panics
///
/// If the list cannot be read.
pub fn connections_to(address: SocketAddr) -> usize {
    let port = format!(":{:04X}", address.port());
    let list = fs::read_to_string("/proc/net/tcp").expect("a list of sockets");
    let is_open = |line: &&str| {
        let fields: Vec<_> = line.split_whitespace().collect();
        fields[2].ends_with(&port) && fields[9] != "0"
    };
    list.lines().skip(1).filter(is_open).count()
}

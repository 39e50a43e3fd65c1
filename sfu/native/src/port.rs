//! One port number on several local addresses, for UDP and TCP.

use std::io::{self, ErrorKind};
use std::net::{SocketAddr, TcpListener, UdpSocket};
use std::os::fd::AsFd;

use crate::system;

/// Bytes of a socket's buffers: half a second of 100 Mbit/s.
const BUFFER: i32 = 6 << 20;
/// Ports tried until one is free on all addresses, and connections that wait to be accepted.
const ATTEMPTS: usize = 64;
const BACKLOG: i32 = 256;

/// Bind UDP sockets and TCP listeners (if wanted) on all addresses. Their ports are the same; 0 finds one that all have free.
pub fn bind(addresses: &[SocketAddr], listen: bool) -> io::Result<(Vec<UdpSocket>, Vec<TcpListener>)> {
    let port = addresses.first().map_or(0, SocketAddr::port);
    if addresses.is_empty() || addresses.iter().any(|address| address.port() != port) {
        return Err(io::Error::new(ErrorKind::InvalidInput, "addresses must share one port"));
    }
    let mut result = bind_all(addresses, port, listen);
    for _ in 1..ATTEMPTS {
        match &result {
            Err(error) if port == 0 && error.kind() == ErrorKind::AddrInUse => {}
            _ => break,
        }
        result = bind_all(addresses, port, listen);
    }
    result
}

fn bind_all(addresses: &[SocketAddr], mut port: u16, listen: bool) -> io::Result<(Vec<UdpSocket>, Vec<TcpListener>)> {
    let (mut sockets, mut listeners) = (Vec::new(), Vec::new());
    for mut address in addresses.iter().copied() {
        address.set_port(port);
        let socket = system::udp(address)?;
        port = socket.local_addr()?.port();
        address.set_port(port);
        system::set_buffers(socket.as_fd(), BUFFER, BUFFER);
        sockets.push(socket);
        if listen {
            listeners.push(system::tcp(address, BACKLOG)?);
        }
    }
    Ok((sockets, listeners))
}

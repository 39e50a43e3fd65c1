//! One connection of ICE over TCP: datagrams framed (RFC 4571), read and written without waiting.

use std::io::{self, ErrorKind, Read, Write};
use std::net::{IpAddr, Ipv6Addr, TcpStream};
use std::os::fd::AsFd;

use crate::Micros;
use crate::framing::{self, Deframer};
use crate::ice::Tuple;
use crate::system::{self, Poll};

/// Bytes read at once.
pub const CHUNK: usize = 16 * 1024;
/// Bytes that wait for a slow reader before his datagrams are dropped: so many here, so many in the kernel.
const WAITING: usize = 128 * 1024;
const KERNEL: i32 = 128 * 1024;

/// A connection that is open.
pub struct Connection {
    pub tuple: Tuple,
    /// When it was accepted.
    pub since: Micros,
    stream: TcpStream,
    pub deframer: Deframer,
    /// What its reader has not taken, and since when he takes nothing.
    waiting: Vec<u8>,
    idle_since: Micros,
    watched: bool,
}

impl Connection {
    /// Take a connection into use: `poll` hears of it, by the local part of its tuple.
    pub fn new(stream: TcpStream, tuple: Tuple, poll: &Poll, now: Micros) -> io::Result<Connection> {
        stream.set_nonblocking(true)?;
        stream.set_nodelay(true)?;
        system::set_option(stream.as_fd(), libc::SOL_SOCKET, libc::SO_SNDBUF, KERNEL)?;
        poll.add(&stream, tuple.local.into())?;
        let (deframer, waiting) = (Deframer::default(), Vec::new());
        Ok(Connection { tuple, since: now, stream, deframer, waiting, idle_since: now, watched: false })
    }

    /// Whether it is waited for until it takes more.
    pub fn watched(&self) -> bool {
        self.watched
    }

    /// Read once what is there; an error if nothing will come any more.
    pub fn read(&mut self, chunk: &mut [u8]) -> io::Result<()> {
        match self.stream.read(chunk) {
            Ok(0) => Err(ErrorKind::UnexpectedEof.into()),
            Ok(length) => {
                self.deframer.push(chunk.get(..length).unwrap_or_default());
                Ok(())
            }
            Err(error) if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::Interrupted) => Ok(()),
            Err(error) => Err(error),
        }
    }

    /// Have a datagram wait to be written; false if too much waits already.
    pub fn push(&mut self, datagram: &[u8], now: Micros) -> bool {
        if self.waiting.len() + datagram.len() > WAITING {
            return false;
        }
        if self.waiting.is_empty() {
            self.idle_since = now;
        }
        framing::frame(&mut self.waiting, datagram);
        true
    }

    /// Write what its reader takes, and wait for him to take the rest.
    pub fn flush(&mut self, poll: &Poll, now: Micros) -> io::Result<()> {
        let mut written = 0;
        while let Some(rest) = self.waiting.get(written..).filter(|rest| !rest.is_empty()) {
            match self.stream.write(rest) {
                Ok(0) => return Err(ErrorKind::WriteZero.into()),
                Ok(length) => {
                    written += length;
                    self.idle_since = now;
                }
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) if error.kind() == ErrorKind::WouldBlock => break,
                Err(error) => return Err(error),
            }
        }
        self.waiting.drain(..written);
        let watched = !self.waiting.is_empty();
        if !watched {
            self.waiting.shrink_to(CHUNK);
        }
        if watched != self.watched {
            self.watched = watched;
            poll.set(&self.stream, self.tuple.local.into(), true, watched)?;
        }
        Ok(())
    }

    /// How long its reader has taken nothing of what waits for him.
    pub fn stuck_for(&self, now: Micros) -> Micros {
        if self.waiting.is_empty() { 0 } else { now.saturating_sub(self.idle_since) }
    }
}

/// Whom an address belongs to: whoever has one of IPv6 has its whole /64.
pub fn household(ip: IpAddr) -> IpAddr {
    match ip {
        IpAddr::V4(_) => ip,
        IpAddr::V6(ip) => Ipv6Addr::from_bits(ip.to_bits() >> 64 << 64).into(),
    }
}

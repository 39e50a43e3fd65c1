//! ICE over TCP, the passive end (RFC 6544): connections on the UDP sockets' port numbers, datagrams framed (RFC 4571).
//!
//! * A stranger gets a connection, a deadline to prove himself by an authentic check, and no more of them than his share.
//! * Nothing waits for a slow reader: he loses datagrams, and if he reads nothing at all, the connection.

use std::collections::HashMap;
use std::io::ErrorKind;
use std::net::{IpAddr, SocketAddr, TcpListener, TcpStream};
use std::sync::Arc;

use crate::Micros;
use crate::batch::Batch;
use crate::connection::{CHUNK, Connection, household};
use crate::ice::Tuple;
use crate::socket::NetworkCounters;
use crate::system::{Poll, Ready};

/// The number that the first connection has as the local part of its tuple; those below are UDP sockets'.
pub const FIRST: u16 = 0x4000;
/// The token of the first listener; connections' tokens are their numbers.
pub const LISTENERS: u64 = 0x1_0000;
/// Connections at a time: altogether, and from one address (for IPv6, from one /64).
pub const MOST: usize = 1024;
pub const MOST_OF_ONE: usize = 64;
/// How long a connection lives without an authentic check, and one whose reader takes nothing.
pub const UNPROVEN: Micros = 10_000_000;
pub const STUCK: Micros = 10_000_000;
/// How often connections are looked through, and how long none is accepted when descriptors ran out.
const ROUND: Micros = 1_000_000;
/// Connections accepted before others get their turn.
const TURN: usize = 64;

/// The listeners and their connections.
pub struct Listener {
    listeners: Vec<Arc<TcpListener>>,
    /// Until when no connection is accepted.
    deaf_until: Option<Micros>,
    connections: Vec<Option<Connection>>,
    open: usize,
    shares: HashMap<IpAddr, usize>,
    /// Connections that have something to write, while a batch is sent.
    touched: Vec<usize>,
    /// Connections that went and whose end nobody has been told.
    gone: Vec<Tuple>,
    round_at: Micros,
    chunk: Vec<u8>,
    counters: Arc<NetworkCounters>,
}

impl Listener {
    /// Take listeners into use: `poll` hears of their connections.
    pub fn new(
        listeners: Vec<impl Into<Arc<TcpListener>>>,
        poll: &Poll,
        counters: Arc<NetworkCounters>,
    ) -> std::io::Result<Listener> {
        let listeners: Vec<Arc<TcpListener>> = listeners.into_iter().map(Into::into).collect();
        for (index, listener) in listeners.iter().enumerate() {
            poll.add(listener, LISTENERS + index as u64)?;
        }
        Ok(Listener {
            listeners,
            deaf_until: None,
            connections: Vec::new(),
            open: 0,
            shares: HashMap::new(),
            touched: Vec::new(),
            gone: Vec::new(),
            round_at: Micros::MAX,
            chunk: vec![0; CHUNK],
            counters,
        })
    }

    /// Do what a ready descriptor asks for. A connection that can be read from then has datagrams: see `next_datagram`.
    pub fn ready(&mut self, ready: Ready, poll: &Poll, now: Micros) {
        if ready.token >= LISTENERS {
            return self.accept((ready.token - LISTENERS) as usize, poll, now);
        }
        let index = (ready.token as usize).wrapping_sub(FIRST.into());
        if ready.writable {
            self.write(index, poll, now);
        }
        if ready.readable {
            self.read(index);
        }
    }

    fn accept(&mut self, listener: usize, poll: &Poll, now: Micros) {
        for _ in 0..TURN {
            let Some(listener) = self.listeners.get(listener) else {
                return;
            };
            match listener.accept() {
                Ok((stream, remote)) => self.take(stream, remote, poll, now),
                Err(error) if error.kind() == ErrorKind::WouldBlock => return,
                Err(error) if matches!(error.raw_os_error(), Some(libc::EMFILE | libc::ENFILE | libc::ENOMEM)) => {
                    return self.hear(Some(now + ROUND), poll);
                }
                Err(_) => {} // that connection went before it was accepted
            }
        }
    }

    /// Accept again, or nothing until then.
    fn hear(&mut self, deaf_until: Option<Micros>, poll: &Poll) {
        self.deaf_until = deaf_until;
        self.round_at = self.round_at.min(deaf_until.unwrap_or(Micros::MAX));
        for (index, listener) in self.listeners.iter().enumerate() {
            let _ = poll.set(listener, LISTENERS + index as u64, deaf_until.is_none(), false);
        }
    }

    fn take(&mut self, stream: TcpStream, remote: SocketAddr, poll: &Poll, now: Micros) {
        let share = self.shares.get(&household(remote.ip())).copied().unwrap_or(0);
        let index = self.connections.iter().position(Option::is_none).unwrap_or(self.connections.len());
        if self.open >= MOST || share >= MOST_OF_ONE {
            return self.counters.rejected.add(1);
        }
        let tuple = Tuple { local: FIRST + index as u16, remote };
        let Ok(connection) = Connection::new(stream, tuple, poll, now) else {
            return self.counters.rejected.add(1);
        };
        if index == self.connections.len() {
            self.connections.push(None);
        }
        self.connections[index] = Some(connection);
        self.open += 1;
        *self.shares.entry(household(remote.ip())).or_default() += 1;
        self.round_at = self.round_at.min(now + ROUND);
        self.counters.accepted.add(1);
        self.counters.connections.set(self.open as u64);
    }

    fn close(&mut self, index: usize) {
        let Some(connection) = self.connections.get_mut(index).and_then(Option::take) else {
            return;
        };
        let household = household(connection.tuple.remote.ip());
        if let Some(share) = self.shares.get_mut(&household) {
            *share -= 1;
            if *share == 0 {
                self.shares.remove(&household);
            }
        }
        self.open -= 1;
        self.counters.connections.set(self.open as u64);
        self.gone.push(connection.tuple);
    }

    fn read(&mut self, index: usize) {
        let Some(Some(connection)) = self.connections.get_mut(index) else {
            return;
        };
        if connection.read(&mut self.chunk).is_err() {
            self.close(index);
        }
    }

    /// Copy the next datagram that a connection brought; its length and where it is from.
    pub fn next_datagram(&mut self, token: u64, datagram: &mut [u8]) -> Option<(usize, Tuple)> {
        let index = (token as usize).wrapping_sub(FIRST.into());
        let connection = self.connections.get_mut(index)?.as_mut()?;
        if let Ok(framed) = connection.deframer.next_datagram()?
            && let Some(room) = datagram.get_mut(..framed.len())
        {
            room.copy_from_slice(framed);
            return Some((room.len(), connection.tuple));
        }
        self.counters.evicted.add(1);
        self.close(index);
        None
    }

    /// Send those messages of a batch that leave by TCP.
    pub fn send(&mut self, batch: &Batch, poll: &Poll, now: Micros) {
        for message in batch.messages.iter().filter(|message| message.to.local >= FIRST) {
            let index = usize::from(message.to.local - FIRST);
            let Some(Some(connection)) = self.connections.get_mut(index) else {
                continue;
            };
            if connection.tuple != message.to {
                continue;
            }
            for datagram in batch.bytes(message).chunks(message.segment.max(1)) {
                if connection.push(datagram, now) {
                    self.counters.datagrams_sent.add(1);
                    self.counters.bytes_sent.add(datagram.len() as u64);
                } else {
                    self.counters.slow.add(1);
                }
            }
            if !connection.watched() && self.touched.last() != Some(&index) {
                self.touched.push(index);
            }
        }
        while let Some(index) = self.touched.pop() {
            self.write(index, poll, now);
        }
    }

    fn write(&mut self, index: usize, poll: &Poll, now: Micros) {
        let Some(Some(connection)) = self.connections.get_mut(index) else {
            return;
        };
        if connection.flush(poll, now).is_err() {
            self.close(index);
        }
    }

    /// When `round` has something to do.
    pub fn next_round(&self) -> Micros {
        self.round_at
    }

    /// Close connections that nobody proved to be a peer's, as `known` says, and those that nobody reads from.
    pub fn round(&mut self, now: Micros, poll: &Poll, known: impl Fn(Tuple) -> bool) {
        if now < self.round_at {
            return;
        }
        for index in 0..self.connections.len() {
            let Some(Some(connection)) = self.connections.get(index) else {
                continue;
            };
            let strange = now.saturating_sub(connection.since) >= UNPROVEN && !known(connection.tuple);
            if strange || connection.stuck_for(now) >= STUCK {
                self.counters.evicted.add(1);
                self.close(index);
            }
        }
        self.round_at = if self.open > 0 { now + ROUND } else { Micros::MAX };
        match self.deaf_until {
            Some(until) if now >= until => self.hear(None, poll),
            until => self.round_at = self.round_at.min(until.unwrap_or(Micros::MAX)),
        }
    }

    /// A connection that is closed and that nobody was told of.
    pub fn pop_gone(&mut self) -> Option<Tuple> {
        self.gone.pop()
    }
}

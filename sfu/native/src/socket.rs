//! UDP sockets on several local addresses that share one port number, and how a batch leaves through them.
//!
//! * What the network does not take is dropped and counted; nothing about one message keeps the others back.
//! * Pieces go as one message where the kernel cuts it (UDP_SEGMENT). A socket that cannot do that is remembered.

use std::io::{self, ErrorKind};
use std::net::UdpSocket;
use std::os::fd::AsFd;
use std::sync::Arc;

use crate::Micros;
use crate::batch::{Batch, Message};
use crate::counters::Counter;
use crate::system::{self, Inbox, Outbox};

/// How long a batch may wait for a socket to take more.
const PATIENCE: Micros = 2_000;

/// What the sockets did, beyond what the plane counts.
#[derive(Debug, Default)]
pub struct NetworkCounters {
    /// What the kernel took, of UDP and TCP together.
    pub datagrams_sent: Counter,
    pub bytes_sent: Counter,
    /// Datagrams received that were longer than any of ours.
    pub oversized: Counter,
    /// Datagrams not sent: the socket stayed full; longer than the path takes; refused for any other reason.
    pub full: Counter,
    pub too_long: Counter,
    pub refused: Counter,
    /// Sockets that send pieces one by one, as the kernel cuts nothing for them.
    pub unsegmented: Counter,
    /// TCP connections: open now, ever taken, turned away, closed by us.
    pub connections: Counter,
    pub accepted: Counter,
    pub rejected: Counter,
    pub evicted: Counter,
    /// Datagrams that a slow reader of TCP did not get.
    pub slow: Counter,
}

/// One UDP socket.
#[derive(Debug)]
struct Socket {
    udp: Arc<UdpSocket>,
    /// Whether the kernel cuts messages for it, and whether it ever did.
    segments: bool,
    proven: bool,
}

/// The UDP sockets, numbered in the order of their addresses: `Tuple::local` is that number.
pub struct Sockets {
    sockets: Vec<Socket>,
    outbox: Outbox,
    /// The messages of one socket, while they are sent.
    waiting: Vec<Message>,
    counters: Arc<NetworkCounters>,
}

impl Sockets {
    /// Take sockets into use.
    pub fn new(sockets: Vec<impl Into<Arc<UdpSocket>>>, counters: Arc<NetworkCounters>) -> Sockets {
        let sockets =
            sockets.into_iter().map(|udp| Socket { udp: udp.into(), segments: true, proven: false }).collect();
        Sockets { sockets, outbox: Outbox::default(), waiting: Vec::new(), counters }
    }

    /// Have the pieces of messages sent one by one.
    pub fn unsegmented(&mut self) {
        for socket in &mut self.sockets {
            socket.segments = false;
        }
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.sockets.len()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.sockets.is_empty()
    }

    /// One of them.
    pub fn get(&self, local: usize) -> Option<&UdpSocket> {
        self.sockets.get(local).map(|socket| &*socket.udp)
    }

    /// Send those messages of a batch that leave by UDP.
    pub fn send(&mut self, batch: &Batch) {
        let mut waiting = std::mem::take(&mut self.waiting);
        for local in 0..self.sockets.len() {
            waiting.clear();
            waiting.extend(batch.messages.iter().filter(|message| usize::from(message.to.local) == local));
            if !waiting.is_empty() {
                self.send_from(local, batch, &mut waiting);
            }
        }
        self.waiting = waiting;
    }

    fn send_from(&mut self, local: usize, batch: &Batch, waiting: &mut Vec<Message>) {
        let Some(socket) = self.sockets.get_mut(local) else {
            return;
        };
        let counters = &self.counters;
        if !socket.segments {
            cut(waiting);
        }
        let (mut done, mut deadline, mut again) = (0, None, false);
        while let Some(rest) = waiting.get(done..).filter(|rest| !rest.is_empty()) {
            let first = rest[0];
            let whole = first.segment < first.len;
            let error = match self.outbox.send(socket.udp.as_fd(), batch, rest) {
                Ok(sent) => {
                    for message in rest.iter().take(sent) {
                        socket.proven |= message.segment < message.len;
                        counters.datagrams_sent.add(pieces(message));
                        counters.bytes_sent.add(message.len as u64);
                    }
                    done += sent;
                    again = false;
                    continue;
                }
                Err(error) => error,
            };
            match error.raw_os_error().unwrap_or_default() {
                libc::EINTR => continue,
                libc::EAGAIN | libc::ENOBUFS => {
                    let now = system::now();
                    let deadline = *deadline.get_or_insert(now + PATIENCE);
                    if now < deadline && system::writable(socket.udp.as_fd(), deadline - now) {
                        continue;
                    }
                    counters.full.add(pieces(&first));
                }
                // A socket that never sent a message in pieces cannot; one that did means this receiver's path.
                libc::EIO | libc::EOPNOTSUPP | libc::EINVAL if whole && !socket.proven => {
                    socket.segments = false;
                    counters.unsegmented.add(1);
                    waiting.drain(..done);
                    done = 0;
                    cut(waiting);
                    continue;
                }
                libc::EIO | libc::EOPNOTSUPP | libc::EINVAL | libc::EMSGSIZE if whole => {
                    let mut one = vec![first];
                    cut(&mut one);
                    waiting.splice(done..=done, one);
                    continue;
                }
                libc::EMSGSIZE => counters.too_long.add(1),
                // The error may be about a datagram before this one: once more.
                _ if passing(&error) && !again => {
                    again = true;
                    continue;
                }
                _ => counters.refused.add(pieces(&first)),
            }
            again = false;
            done += 1;
        }
    }
}

/// Receive one batch from a socket; how many datagrams are in `inbox` then. An error that an earlier datagram left is passed over.
pub fn receive(socket: &UdpSocket, inbox: &mut Inbox) -> usize {
    loop {
        match inbox.receive(socket.as_fd()) {
            Ok(count) => return count,
            Err(error) if error.kind() == ErrorKind::WouldBlock => return 0,
            Err(error) if passing(&error) => {}
            Err(_) => return 0,
        }
    }
}

/// Whether an error says something about an earlier datagram's way (ICMP) or about nothing at all.
fn passing(error: &io::Error) -> bool {
    use libc::{ECONNREFUSED, EHOSTUNREACH, EINTR, ENETUNREACH, ENOPROTOOPT, EPROTO};
    let number = error.raw_os_error().unwrap_or_default();
    [ECONNREFUSED, EHOSTUNREACH, EINTR, ENETUNREACH, ENOPROTOOPT, EPROTO].contains(&number)
}

fn pieces(message: &Message) -> u64 {
    message.len.div_ceil(message.segment.max(1)).max(1) as u64
}

/// Make each message's pieces messages of their own.
fn cut(messages: &mut Vec<Message>) {
    if messages.iter().all(|message| message.segment >= message.len) {
        return;
    }
    let whole = std::mem::take(messages);
    messages.extend(whole.iter().flat_map(|message| {
        let segment = message.segment.max(1);
        (0..message.len.div_ceil(segment).max(1)).map(move |piece| {
            let len = segment.min(message.len - piece * segment);
            Message { to: message.to, at: message.at + piece * segment, len, segment: len.max(1) }
        })
    }));
}

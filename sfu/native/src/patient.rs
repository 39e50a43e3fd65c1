//! Reports that can wait: the kernel puts them into a second socket of the same port, which is read by whoever is awake.
//!
//! To wake for each report of each receiver costs more CPU than to read it, by far. While other datagrams keep the worker awake its
//! reports are read along with those, 50 ms late at most; what they measure counts from when they came. NACK, PLI, FIR and ICE
//! never wait. Once nothing else comes, a report wakes the worker like any datagram.

use std::borrow::Borrow;
use std::io;
use std::net::UdpSocket;
use std::os::fd::AsFd;
use std::sync::Arc;

use crate::Micros;
use crate::system::{self, Inbox, Poll};

/// The tokens of the second sockets: this, and what the first of the same address is numbered.
pub const PATIENT: u64 = 1 << 20;
/// How long a report waits at most, and how often they are read at most.
const LATEST: Micros = 50_000;
const EVERY: Micros = 4_000;
/// Bytes that reports may take while they wait.
const BUFFER: i32 = 2 << 20;

/// The second sockets, each with the number of the first; none where the kernel cannot sort.
pub struct Patient {
    sockets: Vec<(u16, Arc<UdpSocket>)>,
    listens: bool,
    came_at: Micros,
    read_at: Micros,
    until: Micros,
}

impl Patient {
    /// Have the kernel sort what comes to these sockets.
    pub fn beside(sockets: &[impl Borrow<UdpSocket>], poll: &Poll) -> io::Result<Patient> {
        let numbered = (0u16..).zip(sockets);
        let made: Vec<_> =
            numbered.filter_map(|(local, first)| Some((local, beside(first.borrow()).ok()?.into()))).collect();
        for (local, socket) in &made {
            poll.add(socket, PATIENT + u64::from(*local))?;
        }
        Ok(Patient { sockets: made, listens: true, came_at: 0, read_at: 0, until: Micros::MAX })
    }

    /// The second socket of an address.
    pub fn get(&self, local: u16) -> Option<&UdpSocket> {
        self.sockets.iter().find(|(each, _)| *each == local).map(|(_, socket)| &**socket)
    }

    /// All of them, for whoever may have to take them from a thread that stands still.
    pub fn sockets(&self) -> impl Iterator<Item = &Arc<UdpSocket>> {
        self.sockets.iter().map(|(_, socket)| socket)
    }

    /// The numbers that there are second sockets of.
    pub fn locals(&self) -> impl Iterator<Item = u16> {
        self.sockets.iter().map(|(local, _)| *local)
    }

    /// When they must be read at the latest.
    pub fn next_due(&self) -> Micros {
        self.until
    }

    /// Learn that other datagrams came: as long as those come often enough, reports wake nobody.
    pub fn flows(&mut self, poll: &Poll, now: Micros) {
        let often = now.saturating_sub(std::mem::replace(&mut self.came_at, now)) < LATEST;
        if often && !self.sockets.is_empty() {
            self.listen(false, poll);
            self.until = now + LATEST;
        }
    }

    /// Whether to read them now.
    pub fn reads(&mut self, poll: &Poll, now: Micros) -> bool {
        if now >= self.until {
            self.listen(true, poll);
            self.until = Micros::MAX;
        } else if self.listens || now < self.read_at + EVERY {
            return false;
        }
        self.read_at = now;
        true
    }

    fn listen(&mut self, listens: bool, poll: &Poll) {
        if std::mem::replace(&mut self.listens, listens) != listens {
            for (local, socket) in &self.sockets {
                let _ = poll.set(socket, PATIENT + u64::from(*local), listens, false); // it was added
            }
        }
    }
}

/// Bind a second socket to the first one's address. The first was bound alone, so no other process is on that port: who binds one
/// begins alone too.
fn beside(first: &UdpSocket) -> io::Result<UdpSocket> {
    system::share_port(first.as_fd())?;
    let second = system::udp_beside(first.local_addr()?)?;
    system::sort_reports(second.as_fd())?;
    system::stamp(second.as_fd())?;
    system::set_buffers(second.as_fd(), BUFFER, 0);
    Ok(second)
}

/// When each of a batch came, by the monotonic clock.
pub struct Arrivals {
    now: Micros,
    wall: Micros,
}

impl Arrivals {
    /// Of a batch that was received just now.
    pub fn at(now: Micros) -> Arrivals {
        Arrivals { now, wall: system::wall() }
    }

    /// When one came: never in the future, nor longer ago than it can have waited.
    pub fn of(&self, inbox: &Inbox, index: usize) -> Micros {
        let waited = inbox.stamp(index).map_or(0, |stamp| self.wall.saturating_sub(stamp));
        self.now.saturating_sub(waited.min(2 * LATEST))
    }
}

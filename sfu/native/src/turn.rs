//! What a worker's thread does in a turn: what came by orders, sockets and connections, then what is due; and what it has for that.

use std::sync::Arc;
use std::thread;
use std::time::Duration;

use crate::Micros;
use crate::batch::{Batch, Output, Sink};
use crate::counters::PlaneCounters;
use crate::ice::Tuple;
use crate::listener::{FIRST, Listener};
use crate::machine::Machine;
use crate::mailbox::Mailbox;
use crate::order::{Event, Order};
use crate::socket::{NetworkCounters, Sockets};
use crate::system::{self, BATCH, Inbox, LONGEST, Poll, Ready};

/// The token of the orders' descriptor.
pub(crate) const ORDERS: u64 = u64::MAX;
/// Batches received from one socket before others, orders and timers get their turn.
const TURN: usize = 4;
/// The longest nap.
const LONGEST_NAP: Micros = 3_000;
/// How often the thread's CPU time is read.
const CPU_READ: Micros = 1_000_000;

/// Everything that datagrams come and go through.
pub(crate) struct Network {
    pub sockets: Sockets,
    pub listener: Listener,
    pub poll: Poll,
    /// The clock as last read: once a turn, and for each batch received.
    pub now: Micros,
}

impl Sink for Network {
    fn send(&mut self, batch: &Batch) {
        self.sockets.send(batch);
        self.listener.send(batch, &self.poll, self.now);
    }
}

/// What the thread shares with control.
#[derive(Clone)]
pub(crate) struct Shared {
    pub mailbox: Arc<Mailbox>,
    pub counters: Arc<PlaneCounters>,
    pub network: Arc<NetworkCounters>,
}

/// What the thread works with.
pub(crate) struct Loop<M> {
    machine: M,
    network: Network,
    shared: Shared,
    nap: Micros,
    inbox: Inbox,
    batch: Batch,
    events: Vec<Event>,
    orders: Vec<Order>,
    datagram: Vec<u8>,
    cpu_read_at: Micros,
    /// Whether this turn brought RTCP, and nothing else.
    reports_only: bool,
}

impl<M: Machine> Loop<M> {
    pub fn new(machine: M, network: Network, shared: Shared, nap: Micros) -> Loop<M> {
        Loop {
            machine,
            network,
            shared,
            nap: nap.min(LONGEST_NAP),
            inbox: Inbox::default(),
            batch: Batch::default(),
            events: Vec::new(),
            orders: Vec::new(),
            datagram: vec![0; LONGEST],
            cpu_read_at: 0,
            reports_only: false,
        }
    }

    /// Make turns until the worker is closed.
    pub fn run(&mut self) {
        let mut ready = Vec::new();
        let mut open = true;
        while open {
            let due = self.machine.next_due().min(self.network.listener.next_round());
            let limit = if due == Micros::MAX { due } else { due.saturating_sub(system::now()) };
            self.shared.mailbox.sleeps();
            self.network.poll.wait(limit, &mut ready);
            self.network.now = system::now();
            self.shared.mailbox.wakes(self.network.now);
            for ready in &ready {
                open &= self.turn(*ready);
            }
            self.time();
            self.rest();
        }
    }

    /// Let reports gather: after a turn that brought nothing but RTCP the next may wait a little. To wake for each report of
    /// each receiver costs more than to read it.
    fn rest(&mut self) {
        if std::mem::take(&mut self.reports_only) && self.nap > 0 {
            let due = self.machine.next_due().saturating_sub(system::now());
            thread::sleep(Duration::from_micros(self.nap.min(due)));
        }
    }

    /// Do what a ready descriptor asks for; false if the worker shall end.
    fn turn(&mut self, ready: Ready) -> bool {
        if ready.token == ORDERS {
            return self.obey();
        }
        if ready.token < FIRST.into() {
            self.receive(ready.token as u16);
        } else {
            self.connections(ready);
        }
        true
    }

    /// Let the machine do something, and send and tell what comes of it.
    fn step(&mut self, act: impl FnOnce(&mut M, &mut Inbox, Micros, &mut Output)) {
        let now = self.network.now;
        let mut out = Output {
            batch: &mut self.batch,
            events: &mut self.events,
            sink: &mut self.network,
            counters: &self.shared.counters,
        };
        act(&mut self.machine, &mut self.inbox, now, &mut out);
        out.flush();
        self.shared.mailbox.tell(&mut self.events);
    }

    fn obey(&mut self) -> bool {
        let mut orders = std::mem::take(&mut self.orders);
        let open = self.shared.mailbox.take(&mut orders);
        for order in orders.drain(..) {
            match order {
                Order::Panic => panic!("ordered to panic"),
                Order::Stall { milliseconds } => thread::sleep(Duration::from_millis(milliseconds)),
                order => self.step(|machine, _, now, out| machine.order(order, now, out)),
            }
        }
        self.orders = orders;
        open
    }

    fn receive(&mut self, local: u16) {
        for _ in 0..TURN {
            let count = self.network.sockets.receive(local.into(), &mut self.inbox);
            if count == 0 {
                return;
            }
            self.network.now = system::now();
            let (mut taken, mut reports) = (0, 0);
            self.step(|machine, inbox, now, out| {
                for index in 0..count {
                    if let Some((data, remote)) = inbox.datagram(index) {
                        reports += usize::from(matches!(data, [128..192, 192..224, ..]));
                        machine.datagram(data, Tuple { local, remote }, now, out);
                        taken += 1;
                    }
                }
            });
            self.reports_only = reports == count;
            self.shared.network.oversized.add(count as u64 - taken);
            self.time();
            if count < BATCH {
                return;
            }
        }
    }

    fn connections(&mut self, ready: Ready) {
        let now = self.network.now;
        self.network.listener.ready(ready, &self.network.poll, now);
        let mut datagram = std::mem::take(&mut self.datagram);
        while let Some((length, from)) = self.network.listener.next_datagram(ready.token, &mut datagram) {
            if let Some(data) = datagram.get_mut(..length) {
                self.step(|machine, _, now, out| machine.datagram(data, from, now, out));
            }
        }
        self.datagram = datagram;
        self.tell_gone();
    }

    fn tell_gone(&mut self) {
        while let Some(tuple) = self.network.listener.pop_gone() {
            self.machine.gone(tuple, self.network.now);
        }
    }

    /// Do what is due.
    fn time(&mut self) {
        let now = self.network.now;
        if self.machine.next_due() <= now {
            self.step(|machine, _, now, out| machine.due(now, out));
        }
        let Self { machine, network, .. } = self;
        network.listener.round(now, &network.poll, |tuple| machine.knows(tuple));
        self.tell_gone();
        if now >= self.cpu_read_at {
            self.shared.mailbox.cpu.set(system::thread_time());
            self.cpu_read_at = now + CPU_READ;
        }
    }
}

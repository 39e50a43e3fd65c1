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
use crate::patient::{Arrivals, PATIENT, Patient};
use crate::socket::{self, NetworkCounters, Sockets};
use crate::system::{self, BATCH, Inbox, LONGEST, Poll, Ready};

/// The token of the orders' descriptor.
pub(crate) const ORDERS: u64 = u64::MAX;
/// Batches received from one socket before others, orders and timers get their turn.
const TURN: usize = 4;
/// How often the thread's CPU time is read.
const CPU_READ: Micros = 1_000_000;

/// Everything that datagrams come and go through.
pub(crate) struct Network {
    pub sockets: Sockets,
    pub patient: Patient,
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
    inbox: Inbox,
    batch: Batch,
    events: Vec<Event>,
    orders: Vec<Order>,
    datagram: Vec<u8>,
    cpu_read_at: Micros,
}

impl<M: Machine> Loop<M> {
    pub fn new(machine: M, network: Network, shared: Shared) -> Loop<M> {
        Loop {
            machine,
            network,
            shared,
            inbox: Inbox::default(),
            batch: Batch::default(),
            events: Vec::new(),
            orders: Vec::new(),
            datagram: vec![0; LONGEST],
            cpu_read_at: 0,
        }
    }

    /// Make turns until the worker is closed.
    pub fn run(&mut self) {
        let mut ready = Vec::new();
        let mut open = true;
        while open {
            let limit = self.next_due().saturating_sub(system::now());
            self.shared.mailbox.sleeps();
            self.network.poll.wait(limit, &mut ready);
            self.network.now = system::now();
            self.shared.mailbox.wakes(self.network.now);
            for ready in &ready {
                open &= self.turn(*ready);
            }
            self.read_reports();
            self.time();
        }
    }

    fn next_due(&self) -> Micros {
        let Network { listener, patient, .. } = &self.network;
        self.machine.next_due().min(listener.next_round()).min(patient.next_due())
    }

    /// Do what a ready descriptor asks for; false if the worker shall end.
    fn turn(&mut self, ready: Ready) -> bool {
        if ready.token == ORDERS {
            return self.obey();
        }
        if ready.token < FIRST.into() {
            self.receive(ready.token as u16, false);
            self.network.patient.flows(&self.network.poll, self.network.now);
        } else if (PATIENT..PATIENT + u64::from(FIRST)).contains(&ready.token) {
            self.receive((ready.token - PATIENT) as u16, true);
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

    /// Read what came to an address: its reports, or all else.
    fn receive(&mut self, local: u16, reports: bool) {
        for _ in 0..TURN {
            let Network { sockets, patient, .. } = &self.network;
            let socket = if reports { patient.get(local) } else { sockets.get(local.into()) };
            let count = socket.map_or(0, |socket| socket::receive(socket, &mut self.inbox));
            if count == 0 {
                return;
            }
            self.network.now = system::now();
            let arrivals = reports.then(|| Arrivals::at(self.network.now));
            let mut taken = 0;
            self.step(|machine, inbox, now, out| {
                for index in 0..count {
                    let came = arrivals.as_ref().map_or(now, |arrivals| arrivals.of(inbox, index));
                    if let Some((data, remote)) = inbox.datagram(index) {
                        machine.datagram(data, Tuple { local, remote }, came, out);
                        taken += 1;
                    }
                }
                if machine.has_due(now) {
                    machine.due(now, out); // what it sends leaves with the rest
                }
            });
            self.shared.network.oversized.add(count as u64 - taken);
            if count < BATCH {
                return;
            }
        }
    }

    /// Read the reports that wait, if it is time.
    fn read_reports(&mut self) {
        if self.network.patient.reads(&self.network.poll, self.network.now) {
            let locals: Vec<_> = self.network.patient.locals().collect();
            for local in locals {
                self.receive(local, true);
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
        if self.machine.has_due(now) {
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

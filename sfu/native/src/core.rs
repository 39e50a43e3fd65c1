//! The map of the plane: datagrams to transports, orders to streams. Pure: bytes and the time in, bytes and events out.
//!
//! Only ICE checks are read from a 5-tuple that no authenticated check came from. Whatever a datagram holds, it is counted and dropped at
//! most.

use std::collections::HashMap;
use std::sync::Arc;

use slotmap::{SlotMap, new_key_type};

use crate::Micros;
use crate::batch::Output;
use crate::counters::{PlaneCounters, TransportCounters};
use crate::flood::Flood;
use crate::ice::{Credentials, Tuple};
use crate::inbound::Inbound;
use crate::order::{Event, Name, Order};
use crate::outbound::Outbound;
use crate::pool::Pool;
use crate::probation::Ids;
use crate::stun;
use crate::timers::Timers;
use crate::transport::Transport;

new_key_type! {
    /// A transport of the core.
    pub struct TransportKey;
    /// A stream that comes in.
    pub struct ProducerKey;
    /// A stream that goes out.
    pub struct ConsumerKey;
}

/// How a plane is.
#[derive(Clone, Debug)]
pub struct Config {
    /// After this long without a sign of life a peer is lost (RFC 7675).
    pub consent_timeout: Micros,
    /// How long a frame's packets may wait for the frame's last one; 0: not at all.
    pub frame_wait: Micros,
    /// A random number that peers do not know: it keys what is hashed of theirs.
    pub seed: u64,
}

/// All transports and streams of a worker.
pub struct Core {
    pub counters: Arc<PlaneCounters>,
    pub(crate) config: Config,
    pub(crate) transports: SlotMap<TransportKey, Transport>,
    pub(crate) producers: SlotMap<ProducerKey, Inbound>,
    pub(crate) consumers: SlotMap<ConsumerKey, Outbound>,
    pub(crate) transport_names: HashMap<Name, TransportKey>,
    pub(crate) producer_names: HashMap<Name, ProducerKey>,
    pub(crate) consumer_names: HashMap<Name, ConsumerKey>,
    by_fragment: HashMap<Box<[u8]>, TransportKey>,
    by_tuple: HashMap<Tuple, TransportKey>,
    flood: Flood,
    pub(crate) timers: Timers,
    pub(crate) pool: Pool,
    /// What one step writes into and the next may use again.
    pub(crate) scratch: Scratch,
}

/// Buffers that are empty between steps.
#[derive(Default)]
pub(crate) struct Scratch {
    pub packet: Vec<u8>,
    pub asked: Vec<u64>,
    pub arrivals: Vec<crate::outbound::Arrival>,
}

impl Core {
    /// A plane without transports.
    pub fn new(config: Config) -> Self {
        Self::with_counters(config, Arc::default())
    }

    /// The same, which counts into what others read.
    pub fn with_counters(config: Config, counters: Arc<PlaneCounters>) -> Self {
        Self {
            counters,
            flood: Flood::new(config.seed),
            config,
            transports: SlotMap::with_key(),
            producers: SlotMap::with_key(),
            consumers: SlotMap::with_key(),
            transport_names: HashMap::new(),
            producer_names: HashMap::new(),
            consumer_names: HashMap::new(),
            by_fragment: HashMap::new(),
            by_tuple: HashMap::new(),
            timers: Timers::default(),
            pool: Pool::default(),
            scratch: Scratch::default(),
        }
    }

    /// Take what came from the network. What the bytes are afterwards is not defined.
    pub fn datagram(&mut self, data: &mut [u8], from: Tuple, now: Micros, out: &mut Output) {
        self.counters.packets_received.add(1);
        self.counters.bytes_received.add(data.len() as u64);
        let first = data.first().copied().unwrap_or(u8::MAX);
        if first < 4 {
            return self.check(data, from, now, out);
        }
        let Some(&key) = self.by_tuple.get(&from) else { return self.counters.discarded.add(1) };
        let Some(transport) = self.transports.get_mut(key) else { return };
        match first {
            20..64 => {
                transport.counters.bytes_received.add(data.len() as u64);
                if transport.dtls_rate.take(now) {
                    let event = Event::DatagramReceived { transport: transport.name.clone(), data: data.to_vec() };
                    out.events.push(event);
                }
            }
            128..192 => {
                let counters = transport.counters.clone();
                counters.bytes_received.add(data.len() as u64);
                if !self.media(key, data, from, now, out) {
                    counters.packets_discarded.add(1);
                }
            }
            _ => self.counters.discarded.add(1),
        }
    }

    /// Answer an ICE check if it is authentic.
    fn check(&mut self, data: &[u8], from: Tuple, now: Micros, out: &mut Output) {
        if self.checked(data, from, now, out).is_none() {
            self.counters.discarded.add(1);
        }
    }

    fn checked(&mut self, data: &[u8], from: Tuple, now: Micros, out: &mut Output) -> Option<()> {
        let key = *self.by_fragment.get(stun::fragment(data).ok()?)?;
        if !self.flood.allow(from.remote, now) {
            return None;
        }
        let check = stun::parse(data).ok()?;
        if self.taken(from, key, now) {
            return None;
        }
        let transport = self.transports.get_mut(key)?;
        let was = (transport.ice.selected, transport.ice.nominated);
        self.scratch.packet.clear();
        let checked = transport.ice.check(&check, from, now, &mut self.scratch.packet)?;
        out.make_room();
        out.batch.datagram(from, &self.scratch.packet);
        if let Some(dropped) = checked.dropped
            && self.by_tuple.get(&dropped) == Some(&key)
        {
            self.by_tuple.remove(&dropped);
        }
        for fragment in &checked.retired {
            self.by_fragment.remove(fragment.as_bytes());
        }
        if transport.ice.tuples().any(|tuple| tuple == from) {
            self.by_tuple.insert(from, key);
        }
        if let Some(tuple) = transport.ice.selected
            && was != (transport.ice.selected, transport.ice.nominated)
        {
            let (transport, nominated) = (transport.name.clone(), transport.ice.nominated);
            out.events.push(Event::IceSelected { transport, tuple, nominated });
            if was.0.is_none() {
                self.begin_all(key, now, out);
            }
        }
        Some(())
    }

    /// Say whether a 5-tuple is another transport's that is heard there: a peer may have forged it to cut that one off.
    fn taken(&self, tuple: Tuple, by: TransportKey, now: Micros) -> bool {
        let holder = self.by_tuple.get(&tuple).filter(|holder| **holder != by);
        holder.and_then(|holder| self.transports.get(*holder)).is_some_and(|holder| holder.ice.holds(tuple, now))
    }

    /// Learn that a TCP connection is closed.
    pub fn gone(&mut self, tuple: Tuple, now: Micros) {
        if let Some(transport) = self.by_tuple.remove(&tuple).and_then(|key| self.transports.get_mut(key)) {
            transport.ice.closed(tuple, now); // control hears of the next one that is selected by a check
        }
    }

    /// Whether an authentic check came over it.
    pub fn knows(&self, tuple: Tuple) -> bool {
        self.by_tuple.contains_key(&tuple)
    }

    /// Carry out an order. One about something that is not there has no effect.
    pub fn order(&mut self, order: Order, now: Micros, out: &mut Output) {
        match order {
            Order::OpenTransport { transport, ice, counters } => self.open(transport, ice, counters),
            Order::RestartIce { transport, ice } => self.restart(&transport, ice),
            Order::CloseTransport { transport } => self.close(&transport),
            Order::SecureTransport { transport, profile, receive_key, send_key } => {
                let Some(&key) = self.transport_names.get(&transport) else { return };
                if self.transports[key].secure(&profile, &receive_key.0, &send_key.0).is_ok() {
                    self.begin_all(key, now, out);
                } else {
                    self.counters.failures.add(1);
                }
            }
            Order::SendDatagram { transport, data } => {
                if let Some(&key) = self.transport_names.get(&transport) {
                    self.transports[key].send(&data, out);
                }
            }
            Order::AddProducer(order) => self.add_producer(order),
            Order::AddConsumer(order) => self.add_consumer(order, now, out),
            Order::PauseProducer { producer } => self.pause_producer(&producer, now, out),
            Order::ResumeProducer { producer } => self.resume_producer(&producer, now, out),
            Order::RemoveProducer { producer } => self.remove_producer(&producer),
            Order::PauseConsumer { consumer } => self.pause_consumer(&consumer, true, now, out),
            Order::ResumeConsumer { consumer } => self.pause_consumer(&consumer, false, now, out),
            Order::RemoveConsumer { consumer } => self.remove_consumer(&consumer, now, out),
            Order::RequestKeyFrame { producer } => {
                if let Some(&key) = self.producer_names.get(&producer) {
                    self.producers[key].repairs.ask(now, false);
                    self.repair(key, now, out);
                }
            }
            Order::Probe { transport, size, extensions } => {
                if let Some(&key) = self.transport_names.get(&transport) {
                    let ids = Ids::of(&extensions);
                    self.transports[key].probe(size, ids, now, &mut self.scratch.packet, out);
                }
            }
            Order::Panic | Order::Stall { .. } => {} // the worker's
        }
    }

    fn open(&mut self, name: Name, ice: Credentials, counters: Arc<TransportCounters>) {
        let fragment = ice.fragment.as_bytes().into();
        let key = self.transports.insert(Transport::new(name.clone(), ice, counters));
        self.transport_names.insert(name, key);
        self.by_fragment.insert(fragment, key);
        self.timers.add(key);
    }

    fn restart(&mut self, name: &Name, ice: Credentials) {
        let Some(&key) = self.transport_names.get(name) else { return };
        self.by_fragment.insert(ice.fragment.as_bytes().into(), key);
        if let Some(ended) = self.transports[key].ice.restart(ice) {
            self.by_fragment.remove(ended.as_bytes());
        }
    }

    fn close(&mut self, name: &Name) {
        let Some(key) = self.transport_names.remove(name) else { return };
        self.forget_tuples(key);
        if let Some(transport) = self.transports.remove(key) {
            for fragment in transport.ice.fragments() {
                self.by_fragment.remove(fragment.as_bytes());
            }
        }
        self.timers.remove(key);
    }

    /// Know no 5-tuple of a transport any more.
    pub(crate) fn forget_tuples(&mut self, key: TransportKey) {
        let Some(transport) = self.transports.get_mut(key) else { return };
        for tuple in transport.ice.tuples() {
            if self.by_tuple.get(&tuple) == Some(&key) {
                self.by_tuple.remove(&tuple);
            }
        }
        transport.ice.forget();
    }
}

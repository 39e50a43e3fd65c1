//! Orders about streams: what is added, paused, resumed and removed in the core.

use crate::Micros;
use crate::batch::Output;
use crate::core::{ConsumerKey, Core, TransportKey};
use crate::inbound::Inbound;
use crate::order::{AddConsumer, AddProducer, Name};
use crate::outbound::Outbound;

impl Core {
    pub(crate) fn add_producer(&mut self, order: Box<AddProducer>) {
        let Some(&key) = self.transport_names.get(&order.transport) else { return };
        let name = order.producer.clone();
        let producer = self.producers.insert(Inbound::new(order, key));
        self.producer_names.insert(name, producer);
        self.transports[key].add(producer, &self.producers[producer]);
    }

    pub(crate) fn pause_producer(&mut self, name: &Name, now: Micros, out: &mut Output) {
        let Some(&key) = self.producer_names.get(name) else { return };
        self.flush(key, now, out);
        self.producers[key].pause();
    }

    pub(crate) fn resume_producer(&mut self, name: &Name, now: Micros, out: &mut Output) {
        let Some(&key) = self.producer_names.get(name) else { return };
        let stream = &mut self.producers[key];
        stream.paused = false;
        for consumer in &stream.consumers {
            if let Some(consumer) = self.consumers.get_mut(*consumer) {
                consumer.begin();
            }
        }
        stream.repairs.force(now);
        self.repair(key, now, out);
    }

    pub(crate) fn remove_producer(&mut self, name: &Name) {
        let Some(key) = self.producer_names.remove(name) else { return };
        let Some(stream) = self.producers.remove(key) else { return };
        if let Some(transport) = self.transports.get_mut(stream.transport) {
            transport.remove(key);
        }
        self.timers.repair.retain(|each| *each != key);
        self.timers.flush.retain(|each| *each != key);
    }

    pub(crate) fn add_consumer(&mut self, order: Box<AddConsumer>, now: Micros, out: &mut Output) {
        let (Some(&transport), Some(&producer)) =
            (self.transport_names.get(&order.transport), self.producer_names.get(&order.producer))
        else {
            return;
        };
        self.flush(producer, now, out);
        let (name, ssrc) = (order.consumer.clone(), order.ssrc);
        let consumer = Outbound::new(order, transport, producer, &self.producers[producer].order.extensions);
        let key = self.consumers.insert(consumer);
        self.consumer_names.insert(name, key);
        self.transports[transport].outbounds.insert(ssrc, key);
        self.producers[producer].consumers.push(key);
        self.begin(key, now, out);
    }

    pub(crate) fn pause_consumer(&mut self, name: &Name, paused: bool, now: Micros, out: &mut Output) {
        let Some(&key) = self.consumer_names.get(name) else { return };
        self.flush(self.consumers[key].producer, now, out);
        self.consumers[key].paused = paused;
        self.begin(key, now, out);
    }

    pub(crate) fn remove_consumer(&mut self, name: &Name, now: Micros, out: &mut Output) {
        let Some(key) = self.consumer_names.remove(name) else { return };
        self.flush(self.consumers[key].producer, now, out);
        let Some(consumer) = self.consumers.remove(key) else { return };
        if let Some(transport) = self.transports.get_mut(consumer.transport) {
            transport.outbounds.remove(&consumer.order.ssrc);
        }
        if let Some(source) = self.producers.get_mut(consumer.producer) {
            source.consumers.retain(|each| *each != key);
            if source.consumers.is_empty() {
                source.history.clear(&mut self.pool);
            }
        }
    }

    /// Let all streams of a transport begin that just got its keys, or a peer.
    pub(crate) fn begin_all(&mut self, key: TransportKey, now: Micros, out: &mut Output) {
        let consumers: Vec<ConsumerKey> = self.transports[key].outbounds.values().copied().collect();
        for consumer in consumers {
            self.begin(consumer, now, out);
        }
    }

    /// Let a receiver begin at the next key frame, and ask for one.
    fn begin(&mut self, key: ConsumerKey, now: Micros, out: &mut Output) {
        let consumer = &mut self.consumers[key];
        consumer.begin();
        if consumer.paused || self.transports.get(consumer.transport).is_none_or(|transport| transport.way().is_none())
        {
            return;
        }
        let producer = consumer.producer;
        if let Some(source) = self.producers.get_mut(producer) {
            source.repairs.ask(now, true);
            self.repair(producer, now, out);
        }
    }
}

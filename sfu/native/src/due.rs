//! What time asks for: frames that waited long enough, repair, feedback, each transport's second.

use crate::Micros;
use crate::batch::Output;
use crate::core::{Core, TransportKey};
use crate::inbound::SILENCE;
use crate::order::Event;
use crate::round_trip;
use crate::rtcp;
use crate::timers::FEEDBACK;

impl Core {
    /// When `due` must be called at the latest; never, if nothing is open.
    pub fn next_due(&self) -> Micros {
        self.timers.next()
    }

    /// Whether `due` has something to do already.
    pub fn has_due(&self, now: Micros) -> bool {
        self.timers.any(now)
    }

    /// Do what is due.
    pub fn due(&mut self, now: Micros, out: &mut Output) {
        if now >= self.timers.flush_at {
            self.flush_due(now, out);
        }
        if now >= self.timers.repair_at {
            self.repair_due(now, out);
        }
        if now >= self.timers.feedback_at {
            self.feedback_due(now, out);
        }
        for key in self.timers.turned(now) {
            self.second(key, now, out);
        }
        if now.saturating_sub(self.timers.rates_at) >= 1_000_000 {
            self.settle_rates(now);
        }
    }

    fn flush_due(&mut self, now: Micros, out: &mut Output) {
        self.timers.flush_at = Micros::MAX;
        let mut left = std::mem::take(&mut self.timers.flush);
        left.retain(|key| {
            let Some(at) = self.producers.get(*key).and_then(|stream| stream.flush_at) else { return false };
            if at <= now {
                self.flush(*key, now, out);
                return false;
            }
            self.timers.flush_at = self.timers.flush_at.min(at);
            true
        });
        self.timers.flush = left;
    }

    fn repair_due(&mut self, now: Micros, out: &mut Output) {
        self.timers.repair_at = Micros::MAX;
        for key in std::mem::take(&mut self.timers.repair) {
            let Some(stream) = self.producers.get_mut(key) else { continue };
            stream.listed = false;
            if stream.flows(now) {
                self.repair(key, now, out); // puts it back if there is more
            }
        }
    }

    fn feedback_due(&mut self, now: Micros, out: &mut Output) {
        self.timers.feedback_at = Micros::MAX;
        for key in std::mem::take(&mut self.timers.feedback) {
            let Some(transport) = self.transports.get_mut(key) else { continue };
            transport.feed_back(now, &mut self.scratch.packet, out);
            if transport.owes_feedback {
                self.timers.feedback.push(key);
                self.timers.feedback_at = now + FEEDBACK;
            }
        }
    }

    /// A transport's second: reports, streams that fell silent, consent.
    fn second(&mut self, key: TransportKey, now: Micros, out: &mut Output) {
        let Some(transport) = self.transports.get_mut(key) else { return };
        if transport.ice.alive_at.is_some_and(|at| now.saturating_sub(at) >= self.config.consent_timeout) {
            let name = transport.name.clone();
            self.forget_tuples(key);
            out.events.push(Event::IceLost { transport: name });
            return;
        }
        let mut reports = Vec::new();
        for (ssrc, producer) in &transport.inbounds {
            let Some(stream) = self.producers.get_mut(*producer).filter(|stream| stream.ssrc == Some(*ssrc)) else {
                continue;
            };
            if stream.heard_at.is_some_and(|at| now.saturating_sub(at) > SILENCE) {
                stream.silence();
                let producer = stream.order.producer.clone();
                out.events.push(Event::StreamSilent { producer, goodbye: false });
            }
            reports.extend(stream.report(now, &mut self.pool));
            reports.extend(stream.report_repairs(now));
        }
        let packet = &mut self.scratch.packet;
        for part in reports.chunks(rtcp::MAX_REPORTS) {
            packet.clear();
            rtcp::write_receiver_reports(packet, part);
            rtcp::write_receiver_reference(packet, round_trip::ntp(now));
            transport.send_rtcp(packet, out);
        }
        transport.tell_estimate(now, packet, out);
        let outbounds: Vec<_> = transport.outbounds.values().copied().collect();
        for consumer in outbounds {
            let Some(consumer) = self.consumers.get_mut(consumer) else { continue };
            let Some(source) = self.producers.get(consumer.producer) else { continue };
            packet.clear();
            consumer.rest(now);
            if consumer.report(source.clock, source.clock_rate(), now, packet) {
                transport.references.answer(consumer.order.ssrc, now, packet);
                transport.send_rtcp(packet, out);
            }
        }
    }

    fn settle_rates(&mut self, now: Micros) {
        let counters = &self.counters;
        let elapsed = now.saturating_sub(self.timers.rates_at).max(1_000_000);
        self.timers.rates_at = now;
        let (packets, bytes) = (counters.packets_sent.get(), counters.bytes_sent.get());
        counters.packets_per_second.set((packets - self.timers.counted.0) * 1_000_000 / elapsed);
        counters.bytes_sent_per_second.set((bytes - self.timers.counted.1) * 1_000_000 / elapsed);
        self.timers.counted = (packets, bytes);
        self.pool.trim();
    }
}

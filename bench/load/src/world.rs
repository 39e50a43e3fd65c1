//! Everything that the load is: transports, their timers, what is counted, and the orders that change it. One thread, no locks.

use std::cmp::Reverse;
use std::collections::{BinaryHeap, HashMap};
use std::io::{self, Write};
use std::sync::Arc;
use std::time::Instant;

use dimpl::Config;
use dimpl::certificate::generate_self_signed_certificate;

use crate::latency::Latency;
use crate::steal::stolen;
use crate::system::{Poll, Reader, Sender, cpu, now, read_input, wall};
use crate::transport::{Identity, News, Shared, Transport};

mod counting;
mod orders;
mod settings;

pub use counting::Counters;
pub use settings::Settings;

const SECOND: u64 = 1_000_000_000;
const MILLISECOND: u64 = 1_000_000;
const FEEDBACK: u64 = 100 * MILLISECOND;
const NACKS: u64 = 20 * MILLISECOND;
const CHECK_AGAIN: u64 = 50 * MILLISECOND;
const INPUT: u64 = u64::MAX;

#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Timer {
    Packet(usize, usize),
    Check(usize),
    Dtls(usize),
    Report(usize),
    Nack(usize),
    Feedback(usize),
}

/// The load.
pub struct World {
    identity: Identity,
    settings: Settings,
    counters: Counters,
    latency: Latency,
    delay: Latency,
    transports: Vec<Option<Transport>>,
    names: HashMap<String, usize>,
    publishers: HashMap<String, (usize, usize)>,
    timers: BinaryHeap<Reverse<(u64, Timer)>>,
    poll: Poll,
    sender: Sender,
    began: (u64, u64, u64),
    news: Vec<News>,
}

impl World {
    /// Make an empty one, with a certificate of its own.
    pub fn new() -> Result<Self, String> {
        let certificate = generate_self_signed_certificate().map_err(|error| error.to_string())?;
        let config = Config::builder()
            .mtu(1200)
            .build()
            .map_err(|error| format!("{error:?}"))?;
        let poll = Poll::new().map_err(|error| error.to_string())?;
        poll.add(0, INPUT).map_err(|error| error.to_string())?;
        Ok(Self {
            identity: Identity {
                config: Arc::new(config),
                certificate,
            },
            settings: Settings::default(),
            counters: Counters::default(),
            latency: Latency::default(),
            delay: Latency::default(),
            transports: Vec::new(),
            names: HashMap::new(),
            publishers: HashMap::new(),
            timers: BinaryHeap::new(),
            poll,
            sender: Sender::default(),
            began: (cpu().nanoseconds, stolen(), now()),
            news: Vec::new(),
        })
    }

    /// Carry out orders until there is no more input.
    pub fn run(&mut self) {
        say(&format!(
            r#"{{"event":"ready","fingerprint":"{}"}}"#,
            self.identity.certificate.fingerprint_str()
        ));
        let (mut reader, mut tokens, mut input) = (Reader::default(), Vec::new(), Vec::new());
        loop {
            let mut until = self.due();
            tokens.clear();
            self.poll.wait(until.saturating_sub(now()).min(SECOND), &mut tokens);
            for &token in &tokens {
                if token == INPUT {
                    if read_input(&mut input).is_none() {
                        return;
                    }
                    if !self.obey(&mut input) {
                        return;
                    }
                } else {
                    self.read(token as usize, &mut reader);
                    if now() >= until {
                        until = self.due();
                    }
                }
            }
        }
    }

    /// Do what time asks for; return when it asks next.
    fn due(&mut self) -> u64 {
        let mut moment = now();
        while let Some(&Reverse((at, timer))) = self.timers.peek() {
            if at > moment {
                moment = now();
                if at > moment {
                    return at;
                }
            }
            self.timers.pop();
            self.timer(timer, at, moment);
            moment = now();
        }
        moment + SECOND
    }

    fn later(&mut self, at: u64, timer: Timer) {
        self.timers.push(Reverse((at, timer)));
    }

    fn timer(&mut self, timer: Timer, at: u64, moment: u64) {
        let (Timer::Packet(place, _)
        | Timer::Check(place)
        | Timer::Dtls(place)
        | Timer::Report(place)
        | Timer::Nack(place)
        | Timer::Feedback(place)) = timer;
        let Some(Some(transport)) = self.transports.get_mut(place) else {
            return;
        };
        match timer {
            Timer::Packet(_, stream) => self.packet(place, stream, at, moment),
            Timer::Check(_) => {
                let off = transport.connected && self.settings.keepalive <= 0.0;
                if !off {
                    transport.check();
                }
                let wait = match transport.connected {
                    true if off => SECOND,
                    true => (self.settings.keepalive * 1e9) as u64,
                    false => CHECK_AGAIN,
                };
                self.later(moment + wait, timer);
            }
            Timer::Dtls(_) => {
                let ready = transport.wake.is_some_and(|wake| wake <= Instant::now());
                if ready && !transport.connected {
                    self.shared(place, |transport, _, shared| transport.handshake(None, shared));
                    self.tell(place, moment);
                }
                if self.transports[place]
                    .as_ref()
                    .is_some_and(|transport| !transport.connected)
                {
                    self.later(moment + CHECK_AGAIN, timer);
                }
            }
            Timer::Report(_) => {
                if self.settings.reports {
                    transport.report(moment, wall(), self.settings.pli);
                }
                self.later(at + SECOND, timer);
            }
            Timer::Nack(_) => {
                transport.answer(moment, &mut self.sender, &mut self.counters);
                self.later(at + NACKS, timer);
            }
            Timer::Feedback(_) => {
                if self.settings.feedback {
                    transport.feed_back();
                }
                self.later(at + FEEDBACK, timer);
            }
        }
    }

    fn packet(&mut self, place: usize, stream: usize, at: u64, moment: u64) {
        let Some(Some(transport)) = self.transports.get_mut(place) else {
            return;
        };
        let Some(publisher) = transport.publishers.get(stream) else {
            return;
        };
        if publisher.interval == 0 || publisher.next != at {
            return;
        }
        self.counters.latest = self.counters.latest.max(moment - at);
        let (interval, spread) = (publisher.interval, publisher.shape.spread);
        let packets = if spread == 0 { u32::MAX } else { 1 };
        let first = publisher.place == 0;
        let ended = transport.publish(stream, packets, moment, &mut self.settings, &mut self.sender);
        let publisher = &mut transport.publishers[stream];
        if first {
            publisher.frame = at;
        }
        let next = if ended { publisher.frame + interval } else { at + spread };
        publisher.next = next;
        self.later(next, Timer::Packet(place, stream));
    }

    fn read(&mut self, place: usize, reader: &mut Reader) {
        let Some(Some(transport)) = self.transports.get(place) else {
            return;
        };
        let descriptor = transport.socket.descriptor();
        let moment = now();
        let behind = if self.settings.stamp { wall() - moment } else { 0 };
        let stamp = self.settings.stamp;
        self.counters.reads += 1;
        reader.read(descriptor, |read| {
            let came = if stamp && read.stamp != 0 {
                read.stamp - behind
            } else {
                moment
            };
            if stamp {
                self.delay.add(came, moment);
            }
            for piece in read.bytes.chunks_mut(read.segment) {
                self.shared(place, |transport, identity, shared| {
                    transport.received(piece, came, identity, shared)
                });
            }
        });
        if let Some(Some(transport)) = self.transports.get_mut(place) {
            transport.answer(moment, &mut self.sender, &mut self.counters);
        }
        if !self.news.is_empty() {
            self.tell(place, moment);
        }
    }

    fn shared(&mut self, place: usize, act: impl FnOnce(&mut Transport, &Identity, &mut Shared<'_>)) {
        let mut shared = Shared {
            settings: &mut self.settings,
            counters: &mut self.counters,
            latency: &mut self.latency,
            news: &mut self.news,
        };
        if let Some(Some(transport)) = self.transports.get_mut(place) {
            act(transport, &self.identity, &mut shared);
        }
    }

    fn tell(&mut self, place: usize, moment: u64) {
        let Some(Some(transport)) = self.transports.get(place) else {
            return;
        };
        let name = &transport.name;
        let mut connected = false;
        for news in self.news.drain(..) {
            match news {
                News::Connected => {
                    connected = true;
                    say(&format!(
                        r#"{{"event":"connected","transport":"{name}","at":{moment}}}"#
                    ));
                }
                News::Failed(why) => say(&format!(r#"{{"event":"failed","transport":"{name}","why":"{why}"}}"#)),
                News::First(ssrc) => {
                    say(&format!(
                        r#"{{"event":"first","transport":"{name}","ssrc":{ssrc},"at":{moment}}}"#
                    ));
                }
            }
        }
        if connected {
            let phase = place as u64 * 7_919_000;
            self.later(moment + SECOND / 2 + phase % SECOND, Timer::Report(place));
            self.later(moment + phase % NACKS, Timer::Nack(place));
            self.later(moment + phase % FEEDBACK, Timer::Feedback(place));
        }
    }
}

/// Print a line at once; who reads it may be gone.
fn say(line: &str) {
    let mut out = io::stdout().lock();
    let _ = out
        .write_all(line.as_bytes())
        .and_then(|()| out.write_all(b"\n"))
        .and_then(|()| out.flush());
}

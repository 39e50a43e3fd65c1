//! Everything that the load is: transports, their timers, what is counted, and the orders that change it. One thread, no locks.

use std::cmp::Reverse;
use std::collections::{BinaryHeap, HashMap};
use std::io::{self, Write};
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Instant;

use dimpl::Config;
use dimpl::certificate::generate_self_signed_certificate;

use crate::latency::Latency;
use crate::publisher::{Publisher, Shape};
use crate::steal::stolen;
use crate::stream::{Counted, Stream};
use crate::stun::Checks;
use crate::system::{Poll, Reader, Sender, Socket, cpu, now, read_input, wall};
use crate::transport::{Identity, News, Shared, Transport};
use crate::words::Words;

const SECOND: u64 = 1_000_000_000;
const MILLISECOND: u64 = 1_000_000;
const FEEDBACK: u64 = 100 * MILLISECOND;
const NACKS: u64 = 20 * MILLISECOND;
const CHECK_AGAIN: u64 = 50 * MILLISECOND;
const INPUT: u64 = u64::MAX;

/// What can be set while it runs. `loss` and `uplink` are shares of what is received and sent; `sample`: one of so many is opened.
pub struct Settings {
    pub loss: f64,
    pub uplink: f64,
    pub sample: u64,
    pub keepalive: f64,
    pub pli: bool,
    pub feedback: bool,
    pub reports: bool,
    pub merge: bool,
    pub stamp: bool,
    chance: u64,
}

impl Settings {
    fn draw(&mut self) -> f64 {
        self.chance ^= self.chance << 13;
        self.chance ^= self.chance >> 7;
        self.chance ^= self.chance << 17;
        (self.chance >> 11) as f64 / (1u64 << 53) as f64
    }

    /// Whether the network loses what was just received.
    pub fn loses(&mut self) -> bool {
        self.loss > 0.0 && self.draw() < self.loss
    }

    /// Whether it loses what is just being sent.
    pub fn loses_upwards(&mut self) -> bool {
        self.uplink > 0.0 && self.draw() < self.uplink
    }
}

/// What was counted since the last reset.
#[derive(Default)]
pub struct Counters {
    pub packets: u64,
    pub bytes: u64,
    pub unknown: u64,
    pub dropped: u64,
    pub dropped_rtx: u64,
    pub rtx: u64,
    pub verified: u64,
    pub forged: u64,
    pub foreign: u64,
    pub reports: u64,
    pub nacks: u64,
    pub nacked: u64,
    pub key_frame_requests: u64,
    pub feedbacks: u64,
    pub other: u64,
    pub reads: u64,
    pub latest: u64,
}

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
            settings: Settings {
                loss: 0.0,
                uplink: 0.0,
                sample: 64,
                keepalive: 2.5,
                pli: false,
                feedback: false,
                reports: true,
                merge: true,
                stamp: false,
                chance: 0x9E37_79B9_7F4A_7C15,
            },
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
            let until = self.due();
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

    /// Carry out the whole lines of `input`; false if one of them ends the load.
    fn obey(&mut self, input: &mut Vec<u8>) -> bool {
        while let Some(end) = input.iter().position(|&byte| byte == b'\n') {
            let line: Vec<u8> = input.drain(..=end).collect();
            let line = String::from_utf8_lossy(&line).into_owned();
            let words = Words::of(&line);
            match words.at(0) {
                Ok("quit") => return false,
                Ok(verb) => {
                    if let Err(error) = self.order(verb, &words) {
                        say(&format!(
                            r#"{{"event":"refused","line":"{}","why":"{error}"}}"#,
                            line.trim()
                        ));
                    }
                }
                Err(_) => {}
            }
        }
        true
    }

    fn order(&mut self, verb: &str, words: &Words<'_>) -> Result<(), String> {
        match verb {
            "transport" => self.open(words),
            "close" => self.close(words.at(1)?),
            "stream" => {
                let transport = self.named(words.at(1)?)?;
                let stream = Stream::new(
                    words.need("ssrc")?,
                    words.get("rtx", 0)?,
                    words.get("video", 1)? == 1,
                    words.get("wide", 0)?,
                    words.get("announce", 0)? == 1,
                );
                transport.add(stream);
                Ok(())
            }
            "publish" => self.publish(words),
            "rate" => self.rate(words.at(1)?, words.need("fps")?),
            "set" => self.set(words),
            "reset" => {
                self.reset();
                Ok(())
            }
            "report" => {
                self.report();
                Ok(())
            }
            "ping" => {
                say(r#"{"event":"pong"}"#);
                Ok(())
            }
            _ => Err(format!("nobody knows {verb}")),
        }
    }

    fn named(&mut self, name: &str) -> Result<&mut Transport, String> {
        let place = self.names.get(name).copied();
        place
            .and_then(|place| self.transports[place].as_mut())
            .ok_or_else(|| format!("no transport {name}"))
    }

    fn open(&mut self, words: &Words<'_>) -> Result<(), String> {
        let name = words.at(1)?;
        let remote: SocketAddr = words.need("to")?;
        let own: SocketAddr = words.get("from", "127.0.0.1:0".parse().expect("an address"))?;
        let make = || -> io::Result<Socket> {
            let socket = Socket::open(own)?;
            if self.settings.merge {
                socket.merge()?;
            }
            if self.settings.stamp {
                socket.stamp()?;
            }
            socket.connect(remote)?;
            Ok(socket)
        };
        let socket = make().map_err(|error| error.to_string())?;
        let place = self.transports.len();
        let (fragment, password): (String, String) = (words.need("fragment")?, words.need("password")?);
        let checks = Checks::new(&fragment, &password, 0x1000_0000_0000 + place as u64);
        let fingerprint: String = words.need("fingerprint")?;
        self.poll
            .add(socket.descriptor(), place as u64)
            .map_err(|error| error.to_string())?;
        self.transports.push(Some(Transport::new(
            name,
            socket,
            checks,
            &fingerprint,
            0x7000_0000 + place as u32,
        )));
        self.names.insert(name.to_owned(), place);
        let moment = now();
        self.later(moment, Timer::Check(place));
        self.later(moment + CHECK_AGAIN, Timer::Dtls(place));
        Ok(())
    }

    fn close(&mut self, name: &str) -> Result<(), String> {
        let place = self.names.remove(name).ok_or_else(|| format!("no transport {name}"))?;
        self.transports[place] = None;
        self.publishers.retain(|_, at| at.0 != place);
        Ok(())
    }

    fn publish(&mut self, words: &Words<'_>) -> Result<(), String> {
        let (name, publisher) = (words.at(1)?, words.at(2)?);
        let place = self
            .names
            .get(name)
            .copied()
            .ok_or_else(|| format!("no transport {name}"))?;
        let shape = Shape {
            video: words.get("video", 1)? == 1,
            ssrc: words.need("ssrc")?,
            rtx_ssrc: words.get("rtx", 0)?,
            payload_type: words.need("pt")?,
            rtx_payload_type: words.get("rtxpt", 0)?,
            clock_rate: words.get("clock", 90_000)?,
            packets: words.get("packets", 5)?,
            bytes: words.get("bytes", 1200)?,
            spread: words.get("spread", 0)? * 1000,
            send_time: words.get("abs", 0)?,
            wide: words.get("wide", 0)?,
            mid: words.get("midid", 0)?,
            mid_value: words.get("mid", "0".to_owned())?,
        };
        let transport = self.named(name)?;
        transport.publishers.push(Publisher::new(shape));
        let stream = transport.publishers.len() - 1;
        self.publishers.insert(publisher.to_owned(), (place, stream));
        Ok(())
    }

    /// Let a publisher, or all (`*`), send so many frames a second; they begin spread over a frame's time.
    fn rate(&mut self, name: &str, fps: f64) -> Result<(), String> {
        let mut which: Vec<_> = self
            .publishers
            .iter()
            .filter(|(each, _)| name == "*" || *each == name)
            .map(|(_, at)| *at)
            .collect();
        which.sort_unstable();
        if which.is_empty() {
            return Err(format!("no publisher {name}"));
        }
        let (moment, count) = (now(), which.len() as u64);
        for (index, (place, stream)) in which.into_iter().enumerate() {
            let Some(Some(transport)) = self.transports.get_mut(place) else {
                continue;
            };
            let publisher = &mut transport.publishers[stream];
            publisher.interval = if fps > 0.0 { (1e9 / fps) as u64 } else { 0 };
            publisher.next = moment + publisher.interval * index as u64 / count;
            publisher.frame = publisher.next;
            let at = publisher.next;
            if publisher.interval > 0 {
                self.later(at, Timer::Packet(place, stream));
            }
        }
        Ok(())
    }

    fn set(&mut self, words: &Words<'_>) -> Result<(), String> {
        let settings = &mut self.settings;
        settings.loss = words.get("loss", settings.loss)?;
        settings.uplink = words.get("uplink", settings.uplink)?;
        settings.sample = words.get("sample", settings.sample)?.max(1);
        settings.keepalive = words.get("keepalive", settings.keepalive)?;
        settings.pli = words.get("pli", u8::from(settings.pli))? == 1;
        settings.feedback = words.get("feedback", u8::from(settings.feedback))? == 1;
        settings.reports = words.get("reports", u8::from(settings.reports))? == 1;
        settings.merge = words.get("merge", u8::from(settings.merge))? == 1;
        settings.stamp = words.get("stamp", u8::from(settings.stamp))? == 1;
        Ok(())
    }

    fn reset(&mut self) {
        self.counters = Counters::default();
        self.latency.clear();
        self.delay.clear();
        for transport in self.transports.iter_mut().flatten() {
            for stream in &mut transport.streams {
                stream.take();
            }
            for publisher in &mut transport.publishers {
                (publisher.counted, publisher.key_frames, publisher.resent) = (0, 0, 0);
            }
        }
        self.began = (cpu().nanoseconds, stolen(), now());
    }

    fn report(&mut self) {
        let mut total = Counted::default();
        let (mut sent, mut key_frames, mut resent, mut silent, mut pending) = (0, 0, 0, 0, 0);
        for transport in self.transports.iter().flatten() {
            for stream in &transport.streams {
                let counted = stream.counted();
                total.expected += counted.expected;
                total.unique += counted.unique;
                total.late += counted.late;
                total.duplicates += counted.duplicates;
                total.repaired += counted.repaired;
                silent += u64::from(counted.unique == 0);
                pending += stream.pending();
            }
            for publisher in &transport.publishers {
                sent += publisher.counted;
                key_frames += publisher.key_frames;
                resent += publisher.resent;
            }
        }
        let elapsed = now() - self.began.2;
        let counters = &self.counters;
        say(&format!(
            concat!(
                r#"{{"event":"report","seconds":{:.6},"cpu":{:.6},"stolen_ms":{},"sent":{},"key_frames":{},"resent":{},"#,
                r#""packets":{},"bytes":{},"expected":{},"unique":{},"late":{},"duplicates":{},"repaired":{},"pending":{},"silent":{},"#,
                r#""unknown":{},"dropped":{},"dropped_rtx":{},"rtx":{},"verified":{},"forged":{},"foreign":{},"#,
                r#""reports":{},"nacks":{},"nacked":{},"key_frame_requests":{},"feedbacks":{},"other":{},"reads":{},"#,
                r#""late_frame_us":{},"latency":{},"read_delay":{}}}"#
            ),
            elapsed as f64 / 1e9,
            (cpu().nanoseconds - self.began.0) as f64 / 1e9,
            stolen() - self.began.1,
            sent,
            key_frames,
            resent,
            counters.packets,
            counters.bytes,
            total.expected,
            total.unique,
            total.late,
            total.duplicates,
            total.repaired,
            pending,
            silent,
            counters.unknown,
            counters.dropped,
            counters.dropped_rtx,
            counters.rtx,
            counters.verified,
            counters.forged,
            counters.foreign,
            counters.reports,
            counters.nacks,
            counters.nacked,
            counters.key_frame_requests,
            counters.feedbacks,
            counters.other,
            counters.reads,
            counters.latest / 1000,
            self.latency.take(),
            self.delay.take(),
        ));
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

//! One connection to the plane: checks that nominate, DTLS 1.2 as a client, then SRTP; what it receives is told apart and counted.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Instant;

use dimpl::{Config, Dtls, DtlsCertificate, Output, SrtpProfile, certificate};

use crate::publisher::{Outgoing, Publisher, extension_of_two, header_length, sent_at};
use crate::rtcp;
use crate::srtp::{Keys, RTCP_TRAILER, TAG};
use crate::stream::Stream;
use crate::stun::Checks;
use crate::system::{Message, Sender, Socket};
use crate::world::{Counters, Settings};

const MATERIAL: usize = 56;
const MAX_STATUSES: usize = 800;

/// What a transport has to tell.
pub enum News {
    Connected,
    Failed(String),
    First(u32),
}

/// The client's own identity, shared by all transports.
pub struct Identity {
    pub config: Arc<Config>,
    pub certificate: DtlsCertificate,
}

/// One connection.
pub struct Transport {
    pub name: String,
    pub socket: Socket,
    pub connected: bool,
    pub streams: Vec<Stream>,
    pub publishers: Vec<Publisher>,
    pub wake: Option<Instant>,
    pub wide: u16,
    own: u32,
    checks: Checks,
    fingerprint: String,
    dtls: Option<Box<Dtls>>,
    keys: Option<(Keys, Keys)>,
    by_ssrc: HashMap<u32, (usize, bool)>,
    arrivals: Vec<(u16, u64)>,
    feedbacks: u8,
    outgoing: Outgoing,
    messages: Vec<Message>,
    scratch: Vec<u8>,
    asked: Vec<u16>,
}

impl Transport {
    /// Make one that checks a peer; its certificate must have this SHA-256 fingerprint (written as in SDP).
    pub fn new(name: &str, socket: Socket, checks: Checks, fingerprint: &str, own: u32) -> Self {
        Self {
            name: name.to_owned(),
            socket,
            connected: false,
            streams: Vec::new(),
            publishers: Vec::new(),
            wake: None,
            wide: 1,
            own,
            checks,
            fingerprint: fingerprint.to_owned(),
            dtls: None,
            keys: None,
            by_ssrc: HashMap::new(),
            arrivals: Vec::new(),
            feedbacks: 0,
            outgoing: Outgoing::default(),
            messages: Vec::new(),
            scratch: Vec::new(),
            asked: Vec::new(),
        }
    }

    /// Send a check.
    pub fn check(&mut self) {
        self.checks.write(&mut self.scratch);
        self.socket.send(&self.scratch);
    }

    /// Whether the keys are there.
    pub fn secured(&self) -> bool {
        self.keys.is_some()
    }

    /// Expect a stream.
    pub fn add(&mut self, stream: Stream) {
        self.by_ssrc.insert(stream.ssrc, (self.streams.len(), false));
        if stream.rtx_ssrc != 0 {
            self.by_ssrc.insert(stream.rtx_ssrc, (self.streams.len(), true));
        }
        self.streams.push(stream);
    }

    /// Take one datagram that came at `now`.
    pub fn received(&mut self, datagram: &mut [u8], now: u64, identity: &Identity, shared: &mut Shared<'_>) {
        match datagram.first().copied().unwrap_or(255) {
            0..4 if self.dtls.is_none() && self.checks.answered_by(datagram) => {
                let mut dtls = Dtls::new_12(
                    Arc::clone(&identity.config),
                    identity.certificate.clone(),
                    Instant::now(),
                );
                dtls.set_active(true);
                self.dtls = Some(Box::new(dtls));
                self.handshake(None, shared);
            }
            20..64 => self.handshake(Some(datagram), shared),
            128..192 if datagram.len() > 12 && self.keys.is_some() => {
                if (192..224).contains(&datagram[1]) {
                    self.control(datagram, now, shared.counters);
                } else {
                    self.media(datagram, now, shared);
                }
            }
            _ => shared.counters.other += 1,
        }
    }

    /// Go on with the handshake: a datagram came, or its timer ended.
    pub fn handshake(&mut self, datagram: Option<&[u8]>, shared: &mut Shared<'_>) {
        let Some(dtls) = &mut self.dtls else { return };
        let done = match datagram {
            Some(datagram) => dtls.handle_packet(datagram),
            None => dtls.handle_timeout(Instant::now()),
        };
        if let Err(error) = done {
            shared
                .news
                .push(News::Failed(format!("dtls {error:?}").replace('"', "'")));
            self.dtls = None;
            return;
        }
        let mut buffer = [0; 2048];
        loop {
            match dtls.poll_output(&mut buffer) {
                Output::Packet(packet) => self.socket.send(packet),
                Output::PeerCert(der) => {
                    let found = certificate::format_fingerprint(&certificate::calculate_fingerprint(der));
                    if found != self.fingerprint {
                        shared
                            .news
                            .push(News::Failed(format!("the certificate's fingerprint is {found}")));
                        self.dtls = None;
                        return;
                    }
                }
                Output::KeyingMaterial(material, profile) => {
                    let Some(keys) = keys(&material, profile) else {
                        shared.news.push(News::Failed(format!("{profile} was chosen")));
                        return;
                    };
                    self.keys = Some(keys);
                }
                Output::Connected => {
                    self.connected = true;
                    shared.news.push(News::Connected);
                }
                Output::Timeout(at) => {
                    self.wake = Some(at);
                    return;
                }
                Output::BufferTooSmall { .. } | Output::CloseNotify | Output::ApplicationData(_) => return,
                _ => {}
            }
        }
    }

    fn media(&mut self, datagram: &mut [u8], now: u64, shared: &mut Shared<'_>) {
        let counters = &mut *shared.counters;
        counters.packets += 1;
        counters.bytes += datagram.len() as u64;
        let ssrc = u32::from_be_bytes([datagram[8], datagram[9], datagram[10], datagram[11]]);
        let Some(&(place, rtx)) = self.by_ssrc.get(&ssrc) else {
            counters.unknown += 1;
            return;
        };
        let stream = &mut self.streams[place];
        if stream.wide != 0
            && let Some(wide) = extension_of_two(datagram, stream.wide)
        {
            self.arrivals.push((wide, now));
        }
        if shared.settings.loses() {
            counters.dropped += 1;
            counters.dropped_rtx += u64::from(rtx);
            return;
        }
        let extended = stream.extend(u16::from_be_bytes([datagram[2], datagram[3]]), rtx);
        stream.packets += 1;
        if stream.announce && stream.packets == 1 {
            shared.news.push(News::First(ssrc));
        }
        let sampled = rtx || stream.packets.is_multiple_of(shared.settings.sample);
        let mut original = extended;
        if sampled {
            let Some((keys, _)) = &self.keys else { return };
            let payload = header_length(datagram)
                .filter(|header| header + TAG <= datagram.len())
                .and_then(|header| keys.open_rtp(datagram, header, ssrc, extended));
            let Some(payload) = payload else {
                counters.forged += 1;
                return;
            };
            counters.verified += 1;
            let payload = &*payload;
            if rtx {
                counters.rtx += 1;
                stream.retransmitted(extended);
                let Some(number) = payload.first_chunk::<2>() else {
                    return;
                };
                original = stream.extend(u16::from_be_bytes(*number), false);
            } else if let Some(sent) = sent_at(payload) {
                shared.latency.add(sent, now);
            } else {
                counters.foreign += 1;
            }
        }
        stream.came(original, rtx, now);
    }

    fn control(&mut self, datagram: &mut [u8], now: u64, counters: &mut Counters) {
        counters.reports += 1;
        let Some((keys, own)) = &self.keys else { return };
        if datagram.len() < RTCP_TRAILER + 8 {
            return;
        }
        let Some(plain) = keys.open_rtcp(datagram) else {
            counters.forged += 1;
            return;
        };
        let (streams, publishers, by_ssrc) = (&mut self.streams, &mut self.publishers, &self.by_ssrc);
        let outgoing = &mut self.outgoing;
        rtcp::parse(plain, |packet| match packet {
            rtcp::Packet::SenderReport { ssrc, ntp } => {
                if let Some(&(place, false)) = by_ssrc.get(&ssrc) {
                    streams[place].sender_reported(ntp, now);
                }
            }
            rtcp::Packet::KeyFrameRequest { ssrc } => {
                counters.key_frame_requests += 1;
                for publisher in publishers.iter_mut().filter(|each| each.shape.ssrc == ssrc) {
                    publisher.key_frame_wanted = true;
                }
            }
            rtcp::Packet::Nack { ssrc, pairs } => {
                for publisher in publishers.iter_mut().filter(|each| each.shape.ssrc == ssrc) {
                    for number in rtcp::nacked(pairs) {
                        counters.nacked += 1;
                        publisher.retransmit(number, own, outgoing);
                    }
                }
            }
            rtcp::Packet::TransportCc => counters.feedbacks += 1,
            rtcp::Packet::Other => {}
        });
    }

    /// Ask for what is missing, and send what was asked of us; call after a read.
    pub fn answer(&mut self, now: u64, sender: &mut Sender, counters: &mut Counters) {
        let mut asked = std::mem::take(&mut self.asked);
        for place in 0..self.streams.len() {
            if self.streams[place].pending() > 0 {
                self.streams[place].ask(now, &mut asked);
                if !asked.is_empty() {
                    counters.nacks += 1;
                    let (own, ssrc) = (self.own, self.streams[place].ssrc);
                    self.send_control(|out| rtcp::write_nack(out, own, ssrc, &asked));
                }
            }
        }
        self.asked = asked;
        self.flush(sender);
    }

    /// Send this second's reports of what is received and sent, and PLI for each video stream if told so.
    pub fn report(&mut self, now: u64, wall: u64, pli: bool) {
        if self.keys.is_none() {
            return;
        }
        let own = self.own;
        let reports: Vec<_> = self
            .streams
            .iter_mut()
            .filter_map(|stream| stream.report(now))
            .collect();
        for some in reports.chunks(31) {
            self.send_control(|out| rtcp::write_receiver_report(out, own, some));
        }
        let (seconds, rest) = (wall / 1_000_000_000 + 2_208_988_800, wall % 1_000_000_000);
        let ntp = (seconds << 32) | ((rest << 32) / 1_000_000_000);
        for place in 0..self.publishers.len() {
            let publisher = &self.publishers[place];
            let (ssrc, timestamp) = (publisher.shape.ssrc, publisher.timestamp);
            let (packets, octets) = (publisher.sent as u32, publisher.octets as u32);
            if packets > 0 {
                self.send_control(|out| rtcp::write_sender_report(out, ssrc, ntp, timestamp, packets, octets));
            }
        }
        for place in 0..if pli { self.streams.len() } else { 0 } {
            if self.streams[place].video {
                let ssrc = self.streams[place].ssrc;
                self.send_control(|out| rtcp::write_pli(out, own, ssrc));
            }
        }
    }

    /// Send transport-wide feedback on what came since the last one.
    pub fn feed_back(&mut self) {
        let mut arrivals = std::mem::take(&mut self.arrivals);
        if let (Some(&(first, _)), Some(ssrc)) = (arrivals.first(), self.streams.first().map(|stream| stream.ssrc)) {
            let ahead = |number: u16| number.wrapping_sub(first) as i16;
            let least = arrivals.iter().map(|&(number, _)| ahead(number)).min().unwrap_or(0);
            let most = arrivals.iter().map(|&(number, _)| ahead(number)).max().unwrap_or(0);
            let base = first.wrapping_add_signed(least);
            let mut statuses = vec![None; (usize::from(most.abs_diff(least)) + 1).min(MAX_STATUSES)];
            for &(number, at) in &arrivals {
                if let Some(status) = statuses.get_mut(usize::from(number.wrapping_sub(base))) {
                    *status = Some(at / 250_000);
                }
            }
            let (own, count) = (self.own, self.feedbacks);
            self.feedbacks = count.wrapping_add(1);
            self.send_control(|out| rtcp::write_transport_cc(out, own, ssrc, base, count, &statuses));
        }
        arrivals.clear();
        self.arrivals = arrivals;
    }

    fn send_control(&mut self, write: impl FnOnce(&mut Vec<u8>)) {
        let Some((_, keys)) = &mut self.keys else { return };
        self.scratch.clear();
        write(&mut self.scratch);
        keys.seal_rtcp(&mut self.scratch);
        self.socket.send(&self.scratch);
    }

    /// Send a publisher's packets: `packets` of them, or to the end of the frame; return whether it was reached.
    pub fn publish(
        &mut self,
        place: usize,
        packets: u32,
        now: u64,
        settings: &mut Settings,
        sender: &mut Sender,
    ) -> bool {
        let (Some((_, keys)), Some(publisher)) = (&self.keys, self.publishers.get_mut(place)) else {
            return true;
        };
        let mut ended = false;
        for _ in 0..packets {
            let (bytes, ends) = (self.outgoing.bytes.len(), self.outgoing.ends.len());
            ended = publisher.write(now, keys, &mut self.wide, &mut self.outgoing);
            if settings.loses_upwards() {
                self.outgoing.bytes.truncate(bytes);
                self.outgoing.ends.truncate(ends);
            }
            if ended {
                break;
            }
        }
        self.flush(sender);
        ended
    }

    fn flush(&mut self, sender: &mut Sender) {
        if self.outgoing.ends.is_empty() {
            return;
        }
        self.messages.clear();
        let mut at = 0;
        for &end in &self.outgoing.ends {
            self.messages.push(Message {
                at,
                length: end - at,
                segment: 0,
                to: None,
            });
            at = end;
        }
        sender.send(self.socket.descriptor(), &self.outgoing.bytes, &self.messages);
        self.outgoing.clear();
    }
}

/// What all transports share while one takes a datagram.
pub struct Shared<'a> {
    pub settings: &'a mut Settings,
    pub counters: &'a mut Counters,
    pub latency: &'a mut crate::latency::Latency,
    pub news: &'a mut Vec<News>,
}

/// The keys of both directions, received ones first: we are the client (RFC 5764 §4.2).
fn keys(material: &[u8], profile: SrtpProfile) -> Option<(Keys, Keys)> {
    if !matches!(profile, SrtpProfile::AEAD_AES_128_GCM) || material.len() < MATERIAL {
        return None;
    }
    let of = |key: usize, salt: usize| {
        Some(Keys::new(
            material.get(key..key + 16)?.try_into().ok()?,
            material.get(salt..salt + 12)?.try_into().ok()?,
        ))
    };
    Some((of(16, 44)?, of(0, 32)?))
}

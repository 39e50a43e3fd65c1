//! One connection to the plane: checks that nominate, DTLS 1.2 as a client, then SRTP; what it receives is told apart and counted.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Instant;

use dimpl::{Config, Dtls, DtlsCertificate, Output, SrtpProfile, certificate};

use crate::publisher::{Outgoing, Publisher};
use crate::srtp::Keys;
use crate::stream::Stream;
use crate::stun::Checks;
use crate::system::{Message, Sender, Socket};
use crate::world::{Counters, Settings};

mod feedback;
mod incoming;

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

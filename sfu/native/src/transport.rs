//! One transport of the plane: its 5-tuples, its keys, and the streams in both directions that its packets are told apart into.

use std::collections::HashMap;
use std::sync::Arc;

use crate::Micros;
use crate::batch::Output;
use crate::core::{ConsumerKey, ProducerKey};
use crate::counters::TransportCounters;
use crate::extensions::ReadExtensions;
use crate::flood::Rate;
use crate::ice::{Credentials, IceLite};
use crate::inbound::Inbound;
use crate::order::Name;
use crate::outbound::Way;
use crate::probation::{self, Ids, Padding, Probation};
use crate::remb::Estimator;
use crate::round_trip::References;
use crate::rtcp;
use crate::rtp::Header;
use crate::srtp::{Opener, Profile, Sealer, SrtpError};
use crate::twcc::TransportCc;

/// RTCP packets a second that are read of a peer; a receiver of a hundred streams sends fewer.
const RTCP_PER_SECOND: u32 = 1000;
/// DTLS datagrams a second that control is told of; a handshake has a dozen.
const DTLS_PER_SECOND: u32 = 50;
/// The most that a seal adds to a packet: a tag of 16 bytes and an index of four.
pub const MAX_SEAL: usize = 20;

/// An estimate that fell below this share of what the sender was told is told at once.
const FELL: f64 = 0.97;

/// Packets in and out of one peer. Media is taken only when the keys are there.
pub struct Transport {
    pub name: Name,
    pub ice: IceLite,
    pub counters: Arc<TransportCounters>,
    pub opener: Option<Opener>,
    pub sealer: Option<Sealer>,
    pub inbounds: HashMap<u32, ProducerKey>,
    pub outbounds: HashMap<u32, ConsumerKey>,
    pub read: ReadExtensions,
    pub rtcp_rate: Rate,
    pub dtls_rate: Rate,
    pub transport_cc: TransportCc,
    /// Whether it stands in the core's list of those that owe feedback.
    pub owes_feedback: bool,
    /// The stream that transport-wide feedback names: the last one heard.
    pub media_ssrc: u32,
    pub references: References,
    probation: Probation,
    /// What the path from the peer carries, where it understands nothing better, and what it was told of that.
    estimator: Option<Box<Estimator>>,
    told: u64,
    mids: Vec<(Box<str>, Option<Box<str>>, ProducerKey)>,
}

impl Transport {
    /// A transport that nobody has come to.
    pub fn new(name: Name, ice: Credentials, counters: Arc<TransportCounters>) -> Self {
        Self {
            name,
            ice: IceLite::new(ice),
            counters,
            opener: None,
            sealer: None,
            inbounds: HashMap::new(),
            outbounds: HashMap::new(),
            read: ReadExtensions::default(),
            rtcp_rate: Rate::new(RTCP_PER_SECOND, RTCP_PER_SECOND),
            dtls_rate: Rate::new(DTLS_PER_SECOND, DTLS_PER_SECOND),
            transport_cc: TransportCc::new(),
            owes_feedback: false,
            media_ssrc: 0,
            references: References::default(),
            probation: Probation::default(),
            estimator: None,
            told: 0,
            mids: Vec::new(),
        }
    }

    /// Use these keys from now on. Errors: an unknown profile, a key of the wrong length.
    pub fn secure(&mut self, profile: &str, receive_key: &[u8], send_key: &[u8]) -> Result<(), SrtpError> {
        let profile = Profile::from_name(profile).ok_or(SrtpError::Keys)?;
        let (mut opener, sealer) = (Opener::new(profile, receive_key)?, Sealer::new(profile, send_key)?);
        self.inbounds.keys().for_each(|ssrc| opener.keep(*ssrc));
        (self.opener, self.sealer) = (Some(opener), Some(sealer));
        Ok(())
    }

    /// Tell this stream's packets apart from now on.
    pub fn add(&mut self, key: ProducerKey, stream: &Inbound) {
        for ssrc in [stream.ssrc, stream.rtx_ssrc].into_iter().flatten() {
            self.bind(ssrc, key);
        }
        let ids = &stream.extensions;
        if let Some(mid) = &stream.order.mid {
            self.mids.push((mid.as_str().into(), stream.order.rid.as_deref().map(Into::into), key));
            self.read.mid = ids.mid.or(self.read.mid);
            self.read.rid = ids.rid.or(self.read.rid);
            self.read.repaired_rid = ids.repaired_rid.or(self.read.repaired_rid);
        }
        if stream.order.transport_cc {
            self.read.transport_cc = ids.transport_cc.or(self.read.transport_cc);
        }
        if stream.order.remb {
            self.read.abs_send_time = ids.abs_send_time.or(self.read.abs_send_time);
        }
    }

    /// Take an SSRC for a stream's.
    pub fn bind(&mut self, ssrc: u32, key: ProducerKey) {
        self.inbounds.insert(ssrc, key);
        if let Some(opener) = &mut self.opener {
            opener.keep(ssrc);
        }
    }

    /// Forget a stream that comes in.
    pub fn remove(&mut self, key: ProducerKey) {
        let opener = &mut self.opener;
        self.inbounds.retain(|ssrc, each| {
            if *each == key
                && let Some(opener) = opener
            {
                opener.forget(*ssrc);
            }
            *each != key
        });
        self.mids.retain(|(_, _, each)| *each != key);
    }

    /// The streams that a packet of an unknown SSRC may be of: those whose MID it names, and whose RID if they have one; by the RID
    /// alone if it names no MID. A stream that is the only one of its MID needs no RID.
    pub fn named(&self, header: &Header, packet: &[u8]) -> impl Iterator<Item = ProducerKey> {
        let text =
            |id: Option<u8>| id.and_then(|id| header.extensions.get(id, packet)).filter(|value| !value.is_empty());
        let mid = text(self.read.mid);
        let rid = text(self.read.rid).or_else(|| text(self.read.repaired_rid));
        let alone = self.mids.iter().filter(|(each, _, _)| mid == Some(each.as_bytes())).count() == 1;
        self.mids
            .iter()
            .filter(move |(its_mid, its_rid, _)| match (mid, rid, its_rid) {
                (None, None, _) | (None, _, None) => false,
                (None, Some(rid), Some(its_rid)) => rid == its_rid.as_bytes(),
                (Some(mid), None, Some(_)) => mid == its_mid.as_bytes() && alone,
                (Some(mid), _, None) => mid == its_mid.as_bytes(),
                (Some(mid), Some(rid), Some(its_rid)) => mid == its_mid.as_bytes() && rid == its_rid.as_bytes(),
            })
            .map(|(_, _, key)| *key)
    }

    /// Send to the selected 5-tuple, if there is one.
    pub fn send(&self, datagram: &[u8], out: &mut Output) {
        if let Some(to) = self.ice.selected {
            self.counters.bytes_sent.add(datagram.len() as u64);
            out.make_room();
            out.batch.datagram(to, datagram);
        }
    }

    /// Seal RTCP in place and send it.
    pub fn send_rtcp(&mut self, packet: &mut Vec<u8>, out: &mut Output) {
        if let Some(sealer) = &mut self.sealer
            && sealer.seal_rtcp(packet).is_ok()
        {
            self.send(packet, out);
        }
    }

    /// Take note of a transport-wide sequence number; true if the transport owes feedback since just now.
    pub fn arrived(&mut self, header: &Header, packet: &[u8], now: Micros) -> bool {
        let Some(wide) = self.read.transport_cc.and_then(|id| header.extensions.get(id, packet)) else { return false };
        let Ok(wide) = <[u8; 2]>::try_from(wide) else { return false };
        self.transport_cc.received(u16::from_be_bytes(wide), now);
        self.media_ssrc = header.ssrc;
        !std::mem::replace(&mut self.owes_feedback, true)
    }

    /// Take note of when a packet was sent, if that is all there is to estimate from; true if the sender must slow down now.
    pub fn stamped(&mut self, header: &Header, packet: &[u8], now: Micros) -> bool {
        let Some(id) = self.read.abs_send_time.filter(|_| self.read.transport_cc.is_none()) else { return false };
        let Some(&[high, middle, low]) = header.extensions.get(id, packet) else { return false };
        let estimator = self.estimator.get_or_insert_default();
        estimator.received(u32::from_be_bytes([0, high, middle, low]), packet.len(), now);
        estimator.estimate(now).is_some_and(|estimate| (estimate as f64) < FELL * self.told as f64)
    }

    /// Tell the sender what its path seems to carry, if that is known.
    pub fn tell_estimate(&mut self, now: Micros, scratch: &mut Vec<u8>, out: &mut Output) {
        self.estimator.take_if(|estimator| estimator.silent(now));
        self.told = self.estimator.as_ref().and_then(|estimator| estimator.estimate(now)).unwrap_or_default();
        if self.told > 0 {
            let mut ssrcs: Vec<u32> = self.inbounds.keys().copied().collect();
            ssrcs.sort_unstable();
            scratch.clear();
            rtcp::write_remb(scratch, self.told, &ssrcs);
            self.send_rtcp(scratch, out);
        }
    }

    /// Send transport-wide feedback.
    pub fn feed_back(&mut self, now: Micros, scratch: &mut Vec<u8>, out: &mut Output) {
        self.owes_feedback = false;
        let Self { transport_cc, sealer, ice, counters, media_ssrc, .. } = self;
        let (Some(sealer), Some(to)) = (sealer.as_mut(), ice.selected) else { return };
        transport_cc.feedback(now, &mut |body| {
            scratch.clear();
            rtcp::write_transport_cc(scratch, *media_ssrc, body);
            if sealer.seal_rtcp(scratch).is_ok() {
                counters.bytes_sent.add(scratch.len() as u64);
                out.make_room();
                out.batch.datagram(to, scratch);
            }
        });
    }

    /// Read a little of all that `way` is used for: see `media::warm`.
    pub fn warm(&self) -> u64 {
        let port = self.ice.selected.map_or(0, |to| to.remote.port());
        self.counters.bytes_sent.get() ^ u64::from(port) ^ u64::from(self.sealer.is_some())
    }

    /// Send so many bytes of padding, as far as one order may.
    pub fn probe(&mut self, size: usize, ids: Ids, now: Micros, packet: &mut Vec<u8>, out: &mut Output) {
        let Self { probation, ice, sealer, counters, .. } = self;
        let (Some(to), Some(sealer)) = (ice.selected, sealer.as_ref()) else { return };
        let mut left = size.min(probation::MOST);
        while let Some(Padding { header, number }) = probation.next(ids, left, now, packet) {
            left -= packet.len();
            out.make_room();
            let piece = out.batch.piece(packet.len() + MAX_SEAL);
            let (head, padding) = packet.split_at(header);
            piece[..header].copy_from_slice(head);
            let Ok(length) = sealer.seal_rtp(number, piece, header, padding) else { return };
            out.batch.commit(to, length);
            counters.bytes_sent.add(length as u64);
        }
    }

    /// Where media goes to and with what; none while it would reach nobody: numbers do not go on then, as a receiver that comes back must
    /// find their upper half (RFC 3711 §3.3.1) where it left it.
    pub fn way(&self) -> Option<Way<'_>> {
        Some(Way { to: self.ice.selected?, sealer: self.sealer.as_ref()?, counters: &self.counters })
    }
}

//! What comes from control.

use std::collections::HashMap;
use std::sync::Arc;

use packet_plane::ice::Credentials;
use packet_plane::order::{AddConsumer, AddProducer, Codec, Name, Order, Secret};
use packet_plane::srtp::{Opener, Profile, Sealer};

use super::far::Far;
use super::random::address;
use super::{DTLS, PASSWORD, STREAMS, World};
use crate::random::Random;

const PROFILES: [(&str, Profile); 3] = [
    ("SRTP_AEAD_AES_128_GCM", Profile::AeadAes128Gcm),
    ("SRTP_AEAD_AES_256_GCM", Profile::AeadAes256Gcm),
    ("SRTP_AES128_CM_SHA1_80", Profile::Aes128CmSha1_80),
];
const EXTENSIONS: [(&str, u8); 6] = [
    ("urn:ietf:params:rtp-hdrext:sdes:mid", 4),
    ("urn:ietf:params:rtp-hdrext:sdes:rtp-stream-id", 5),
    ("urn:ietf:params:rtp-hdrext:sdes:repaired-rtp-stream-id", 6),
    ("urn:3gpp:video-orientation", 13),
    ("http://www.ietf.org/id/draft-holmer-rmcat-transport-wide-cc-extensions-01", 3),
    ("urn:ietf:params:rtp-hdrext:ssrc-audio-level", 10),
];

impl World<'_> {
    /// A peer comes, checks, and gets keys.
    pub(super) fn arrive(&mut self) {
        let (name, random) = (self.name("transport"), &mut self.random);
        let (profile, kind) = PROFILES[random.below(PROFILES.len())];
        let key = |random: &mut Random| -> Vec<u8> { (0..kind.key_length()).map(|_| random.number() as u8).collect() };
        let (theirs, ours) = (key(random), key(random));
        let peer = Far {
            name: name.clone(),
            fragment: format!("fragment{}", self.names),
            at: address(random),
            sealer: Sealer::new(kind, &theirs).unwrap(),
            opener: Opener::new(kind, &ours).unwrap(),
            indexes: HashMap::new(),
            sequences: [65_500, 0, 3, 1000, 65_535],
            got: Vec::new(),
        };
        let ice = Credentials { fragment: peer.fragment.clone(), password: PASSWORD.into() };
        self.peers.push(peer);
        self.transports.push(name.clone());
        let order = Order::OpenTransport { transport: name.clone(), ice, counters: Arc::default() };
        self.let_it(|core, now, out| core.order(order, now, out));
        if !self.random.one_in(8) {
            self.check(self.peers.len() - 1);
        }
        let secret = |key: Vec<u8>| Secret(key.into());
        let (receive_key, send_key) = (secret(theirs), secret(ours));
        for profile in ["SRTP_UNKNOWN", profile] {
            let (transport, receive_key, send_key) = (name.clone(), receive_key.clone(), send_key.clone());
            let order = Order::SecureTransport { transport, profile: profile.into(), receive_key, send_key };
            self.let_it(|core, now, out| core.order(order, now, out));
        }
        for which in 0..STREAMS.len() {
            self.produce(name.clone(), which);
            (0..2).for_each(|_| self.consume());
        }
    }

    pub(super) fn produce(&mut self, transport: Name, which: usize) {
        let producer = self.name("producer");
        self.producers.push(producer.clone());
        let random = &mut self.random;
        let (mime_type, payload_type, rtx_payload_type, mid, ssrc) = STREAMS[which];
        let codec = Codec {
            mime_type: mime_type.into(),
            clock_rate: [90_000, 48_000, 1][random.below(3)],
            payload_type,
            mapped_payload_type: payload_type + 20,
            rtx_payload_type,
        };
        let told = random.one_in(2);
        let order = Order::AddProducer(Box::new(AddProducer {
            transport,
            producer,
            video: mime_type.starts_with("video"),
            codecs: vec![codec],
            extensions: EXTENSIONS.iter().map(|(uri, id)| (uri.to_string(), *id)).collect(),
            ssrc: told.then_some(ssrc),
            rtx_ssrc: rtx_payload_type.filter(|_| told).map(|_| ssrc + 1),
            mid: (!told || random.one_in(2)).then(|| mid.into()),
            rid: random.one_in(10).then(|| "r".into()),
            nack: !random.one_in(5),
            pli: !random.one_in(3),
            fir: true,
            transport_cc: random.one_in(2),
            remb: random.one_in(2),
            paused: random.one_in(10),
            counters: Arc::default(),
        }));
        self.let_it(|core, now, out| core.order(order, now, out));
    }

    pub(super) fn consume(&mut self) {
        let consumer = self.name("consumer");
        self.consumers.push(consumer.clone());
        let (number, random) = (self.names, &mut self.random);
        let newest = self.producers.len() - 1 - random.below(12).min(self.producers.len() - 1);
        let known = random
            .of(&self.peers.iter().map(|peer| peer.name.clone()).collect::<Vec<_>>())
            .filter(|_| !random.one_in(9));
        let order = Order::AddConsumer(Box::new(AddConsumer {
            transport: known.unwrap_or_else(|| random.of(&self.transports).unwrap()),
            consumer,
            producer: self.producers[newest].clone(),
            ssrc: 5000 + 2 * number,
            rtx_ssrc: random.one_in(2).then_some(5001 + 2 * number),
            payload_types: STREAMS.iter().map(|(_, each, rtx, ..)| (each + 20, rtx.map(|rtx| rtx + 20))).collect(),
            extensions: EXTENSIONS.iter().map(|(uri, id)| (uri.to_string(), 14 - *id)).collect(),
            mid: number.to_string(),
            cname: "someone".into(),
            first_sequence: random.of(&[0, 65_530, 30_000]).unwrap(),
            first_rtx_sequence: random.of(&[0, 65_530]).unwrap(),
            paused: random.one_in(10),
            counters: Arc::default(),
        }));
        self.let_it(|core, now, out| core.order(order, now, out));
    }

    pub(super) fn order(&mut self) {
        let random = &mut self.random;
        let (transport, producer) = (random.of(&self.transports).unwrap(), random.of(&self.producers).unwrap());
        let consumer = random.of(&self.consumers).unwrap();
        let order = match random.below(30) {
            0 if self.peers.len() < 6 => return self.arrive(),
            1 if self.peers.len() > 2 => {
                self.peers.retain(|each| each.name != transport);
                Order::CloseTransport { transport }
            }
            2..4 => {
                let fragment = format!("again{}", random.number());
                if let Some(peer) = self.peers.iter_mut().find(|peer| peer.name == transport)
                    && random.one_in(2)
                {
                    peer.fragment.clone_from(&fragment);
                }
                Order::RestartIce { transport, ice: Credentials { fragment, password: PASSWORD.into() } }
            }
            4 => Order::SendDatagram { transport, data: DTLS.to_vec() },
            5..8 => {
                let which = random.below(STREAMS.len());
                return self.produce(transport, which);
            }
            8..12 => return self.consume(),
            12 => Order::PauseProducer { producer },
            13..19 => Order::ResumeProducer { producer },
            19 => Order::RemoveProducer { producer },
            20 => Order::PauseConsumer { consumer },
            21..27 => Order::ResumeConsumer { consumer },
            27 => Order::RemoveConsumer { consumer },
            _ => Order::RequestKeyFrame { producer },
        };
        self.let_it(|core, now, out| core.order(order, now, out));
    }
}

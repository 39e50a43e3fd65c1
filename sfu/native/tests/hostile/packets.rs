//! What comes from the network.

use packet_plane::ice::Tuple;
use packet_plane::{rtcp, rtp};

use super::random::address;
use super::{PASSWORD, STREAMS, World};
use crate::peer;

impl World<'_> {
    pub(super) fn datagram(&mut self, mut data: Vec<u8>, mut from: Tuple) {
        if self.random.one_in(20) {
            self.random.mutate(&mut data);
        }
        if self.random.one_in(100) {
            from = address(&mut self.random);
        }
        for _ in 0..=usize::from(self.random.one_in(20)) {
            self.let_it(|core, now, out| core.datagram(&mut data.clone(), from, now, out));
        }
    }

    /// A packet of one of the streams, in plain: new, late, of a number that jumps, or RTX of one.
    pub(super) fn packet(&mut self, who: usize) -> Vec<u8> {
        let (random, peer) = (&mut self.random, &mut self.peers[who]);
        let which = random.below(STREAMS.len());
        let (_, payload_type, rtx, mid, ssrc) = STREAMS[which];
        let sequence = &mut peer.sequences[which];
        *sequence = sequence.wrapping_add(match random.below(500) {
            0 => random.below(70_000) as u16,
            1 => random.below(3100) as u16,
            2..40 => 2,
            _ => 1,
        });
        let number = if random.one_in(6) { sequence.wrapping_sub(random.below(20) as u16) } else { *sequence };
        let mut payload =
            random.of(&[vec![0x10, 0], vec![0x10, 1], vec![0x67], vec![0x41], vec![8, 0], vec![0x9C]]).unwrap();
        let most = [3, 50, 1400][random.below(3)];
        payload.extend(random.bytes(most));
        let again = rtx.filter(|_| random.one_in(6));
        if again.is_some() {
            payload.splice(..0, number.to_be_bytes());
        }
        let number = if again.is_some() { random.number() as u16 } else { number };
        let wide = (random.number() as u16).to_be_bytes();
        let value = random.bytes(20);
        let extensions = [(4, mid.as_bytes()), (3, wide.as_slice()), (random.below(20) as u8 + 1, &value)];
        let extensions = extensions.into_iter().take(random.below(4));
        let mut plain = Vec::new();
        let (marker, timestamp) = (random.one_in(3), (self.now / 11) as u32);
        let (payload_type, ssrc) = again.map_or((payload_type, ssrc), |rtx| (rtx, ssrc + 1));
        rtp::write_header(
            &mut plain,
            marker,
            payload_type,
            number,
            timestamp,
            ssrc,
            &[7; 8][..4 * random.below(2)],
            extensions,
        );
        plain.extend(payload);
        plain
    }

    pub(super) fn media(&mut self, who: usize) {
        let mut plain = self.packet(who);
        if self.random.one_in(10) {
            self.random.mutate(&mut plain);
        }
        self.sealed_datagram(plain, who);
    }

    pub(super) fn sealed_datagram(&mut self, plain: Vec<u8>, who: usize) {
        let peer = &mut self.peers[who];
        let at = peer.at;
        let sealed = peer.seal(&plain).unwrap_or(plain);
        self.datagram(sealed, at);
    }

    /// Packets of others, changed, as if they were a peer's.
    pub(super) fn garbage(&mut self, who: usize) {
        let corpora = self.corpora;
        if self.random.one_in(3) {
            let compound = self.random.of(&corpora.rtcp).unwrap();
            return self.sealed_compound(compound, who);
        }
        let mut plain = self.random.of(&corpora.rtp).unwrap();
        self.random.mutate(&mut plain);
        if plain.len() >= 12 && !self.random.one_in(3) {
            let (_, payload_type, _, _, ssrc) = STREAMS[self.random.below(STREAMS.len())];
            plain[1] = plain[1] & 0x80 | payload_type;
            plain[8..12].copy_from_slice(&ssrc.to_be_bytes());
        }
        self.sealed_datagram(plain, who);
    }

    pub(super) fn sealed_compound(&mut self, mut compound: Vec<u8>, who: usize) {
        if self.random.one_in(3) {
            self.random.mutate(&mut compound);
        }
        let peer = &mut self.peers[who];
        let at = peer.at;
        if peer.sealer.seal_rtcp(&mut compound).is_ok() {
            self.datagram(compound, at);
        }
    }

    /// What receivers and senders say of streams.
    pub(super) fn feedback(&mut self, who: usize) {
        let (random, peer) = (&mut self.random, &self.peers[who]);
        let (ssrc, sequence) = random.of(&peer.got).unwrap_or((STREAMS[0].4, 0));
        let mine = STREAMS[random.below(STREAMS.len())].4;
        let (number, mut compound) = (random.number(), Vec::new());
        for _ in 0..=random.below(3) {
            match random.below(9) {
                0..4 => {
                    let wanted: Vec<u16> =
                        (0..random.below(40)).map(|each| sequence.wrapping_add(each as u16)).collect();
                    rtcp::write_nack(&mut compound, ssrc, wanted.into_iter().chain([sequence.wrapping_sub(1)]));
                }
                4 => rtcp::write_pli(&mut compound, ssrc),
                5 => rtcp::write_fir(&mut compound, ssrc, number as u8),
                6 => rtcp::write_sender_report(&mut compound, mine, number, number as u32, 1, 2, "name"),
                7 => {
                    let (last_report, delay) = (number as u32, (number >> 32) as u32);
                    let report =
                        rtcp::Report { ssrc, fraction_lost: 3, lost: -1, highest: 9, jitter: 4, last_report, delay };
                    rtcp::write_receiver_reports(&mut compound, &[report]);
                }
                _ => compound.extend([[0x81, 203, 0, 1], mine.to_be_bytes()].concat()),
            }
        }
        self.sealed_compound(compound, who);
    }

    pub(super) fn check(&mut self, who: usize) {
        let (random, peer) = (&mut self.random, &mut self.peers[who]);
        if random.one_in(5) {
            peer.at = address(random);
        }
        let at = peer.at;
        if random.one_in(4) {
            let data = random.of(&self.corpora.stun).unwrap();
            return self.datagram(data, at);
        }
        let role = [peer::ICE_CONTROLLING, peer::ICE_CONTROLLING, peer::ICE_CONTROLLED][random.below(3)];
        let attributes: [(u16, &[u8]); 3] = [(role, &[0; 8]), (peer::PRIORITY, &[0; 4]), (peer::USE_CANDIDATE, &[])];
        let data = peer::check(&format!("{}:theirs", peer.fragment), PASSWORD, &attributes[..1 + random.below(3)]);
        self.datagram(data, at);
    }

    pub(super) fn noise(&mut self, who: usize) {
        let at = self.peers[who].at;
        let mut data = self.random.bytes(1600);
        if let Some(first) = data.first_mut() {
            *first = [0, 1, 22, 63, 64, 127, 128, 191, 192, 255][self.random.below(10)];
        }
        self.datagram(data, at);
        if self.random.one_in(4) {
            self.let_it(|core, now, _| core.gone(at, now));
        }
    }
}

//! What comes once the keys are there: packets told apart and counted, some of them opened; control packets answered.

use super::{News, Shared, Transport};
use crate::publisher::{extension_of_two, header_length, sent_at};
use crate::rtcp;
use crate::srtp::{RTCP_TRAILER, TAG};
use crate::world::Counters;

impl Transport {
    pub(super) fn media(&mut self, datagram: &mut [u8], now: u64, shared: &mut Shared<'_>) {
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

    pub(super) fn control(&mut self, datagram: &mut [u8], now: u64, counters: &mut Counters) {
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
}

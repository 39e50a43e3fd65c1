//! Streams of one transport: which packet is of which, what is taken as it is, what is no packet at all.

mod peer;
mod world;

use packet_plane::order::{AddProducer, Codec, Order};
use packet_plane::rtcp::{self, Packet};
use world::pair::{HOME, KEY_FRAME, Pair};
use world::{GCM, MS, Peer, Plain, World, consumer, extended, packet, tuple, video};

/// A simulcast layer of one MID.
fn layer(rid: &str) -> AddProducer {
    let order = AddProducer { ssrc: None, rtx_ssrc: None, rid: Some(rid.into()), ..video("publisher", rid) };
    let uri = "urn:ietf:params:rtp-hdrext:sdes";
    let (stream, repaired) = (format!("{uri}:rtp-stream-id"), format!("{uri}:repaired-rtp-stream-id"));
    AddProducer { extensions: [order.extensions.clone(), vec![(stream, 10), (repaired, 11)]].concat(), ..order }
}

#[test]
fn streams_are_told_apart_by_mid_and_rid_and_then_by_ssrc() {
    let mut world = World::new();
    let publisher = Peer::new(&mut world, "publisher", tuple(0, HOME), GCM);
    let orders = ["low", "high"].map(layer);
    let counters = orders.each_ref().map(|order| order.counters.clone());
    orders.into_iter().for_each(|order| world.order(Order::AddProducer(Box::new(order))));
    let mut number = 0;
    let mut send = |ssrc: u32, payload_type: u8, extensions: &[(u8, &[u8])]| {
        number += 1;
        let payload: &[u8] = if payload_type == 97 { &[0, 0, 1] } else { KEY_FRAME };
        let packet = extended(ssrc, payload_type, number, 0, true, payload, extensions);
        world.datagram(&publisher.rtp(&packet, number), publisher.tuple);
        let discarded = publisher.counters.packets_discarded.get();
        (counters.each_ref().map(|each| each.packets.get() + each.retransmitted.get()), discarded)
    };
    assert_eq!(send(1, 96, &[]), ([0, 0], 1), "nothing names it");
    assert_eq!(send(1, 96, &[(4, b"0")]), ([0, 0], 2), "there are two of this MID");
    assert_eq!(send(1, 96, &[(4, b"1"), (10, b"low")]), ([0, 0], 3), "another MID");
    assert_eq!(send(1, 96, &[(4, b"0"), (10, b"lower")]), ([0, 0], 4), "another RID");
    assert_eq!(send(1, 35, &[(4, b"0"), (10, b"low")]), ([0, 0], 5), "another payload type");
    assert_eq!(send(1, 97, &[(4, b"0"), (11, b"high")]), ([0, 1], 5), "repaired RID");
    assert_eq!(send(2, 96, &[(4, b"0"), (10, b"high")]), ([0, 2], 5));
    assert_eq!(send(3, 96, &[(10, b"low")]), ([1, 2], 5), "RID alone");
    assert_eq!(send(3, 96, &[]), ([2, 2], 5), "latched");
    assert_eq!(send(2, 96, &[]), ([2, 3], 5));
    assert_eq!(send(4, 96, &[(4, b"0"), (10, b"low")]), ([2, 3], 6), "it has its SSRC");
    assert_eq!(send(4, 97, &[(4, b"0"), (10, b"low")]), ([3, 3], 6), "retransmissions under the RID itself");
}

#[test]
fn audio_passes_whatever_it_holds_and_its_level_is_read() {
    let mut pair = Pair::usual();
    let codec = |mime_type: &str, payload_type, mapped_payload_type| Codec {
        mime_type: mime_type.into(),
        clock_rate: 48_000,
        payload_type,
        mapped_payload_type,
        rtx_payload_type: None,
    };
    let order = AddProducer {
        video: false,
        codecs: vec![codec("audio/opus", 111, 100), codec("audio/red", 63, 99)],
        extensions: vec![(packet_plane::extensions::AUDIO_LEVEL.into(), 1)],
        ssrc: Some(9),
        rtx_ssrc: None,
        ..video("publisher", "audio")
    };
    let counters = order.counters.clone();
    pair.world.order(Order::AddProducer(Box::new(order)));
    let mut receives = consumer("receiver", "audio", 6000);
    receives.payload_types = vec![(100, None), (99, None)];
    pair.world.order(Order::AddConsumer(Box::new(receives)));
    let payloads: [(u8, &[u8]); 5] =
        [(111, &[0x78, 1, 2]), (111, &[0x78]), (111, &[]), (63, &[0xEF, 0, 4, 1, 0x6F, 1, 2]), (63, &[0x6F])];
    for (number, (payload_type, payload)) in (20..).zip(payloads) {
        let packet = extended(9, payload_type, number, 960 * number as u32, false, payload, &[(1, &[0x80 | 42])]);
        pair.world.datagram(&pair.publisher.rtp(&packet, number), pair.publisher.tuple);
    }
    assert_eq!(pair.came(), payloads.map(|(_, payload)| payload));
    assert_eq!(counters.audio_level.get(), 42);
}

#[test]
fn senders_that_probe_with_retransmissions_and_padding_send_nothing_on() {
    let counters = video("", "").counters;
    let mut pair = Pair::changed(|order| order.counters = counters.clone());
    (0..5).for_each(|_| _ = pair.send());
    pair.came();
    for (number, payload) in (1..).zip([&[][..], &[0], &[0, 102], &[0, 102, 0x10, 0], &[9, 9, 0x10, 0]]) {
        let probe = packet(2222, 97, number, 0, true, payload);
        pair.world.datagram(&pair.publisher.rtp(&probe, number), pair.publisher.tuple);
    }
    let mut padded = packet(1111, 96, 105, 0, false, &[0, 0, 0, 4]);
    padded[0] |= 0x20;
    pair.world.datagram(&pair.publisher.rtp(&padded, 105), pair.publisher.tuple);
    pair.world.after(2000 * MS);
    assert_eq!((counters.retransmitted.get(), counters.repaired.get(), counters.packets.get()), (5, 0, 6));
    assert_eq!((counters.lost.get(), counters.nacks.get(), counters.discarded.get()), (0, 0, 0));
    assert_eq!(pair.came(), [b""], "padding is a packet of the stream without anything in it");
}

#[test]
fn feedback_on_each_packet_goes_out_ten_times_a_second() {
    let mut pair = Pair::changed(|order| {
        order.transport_cc = true;
        order.extensions.push((packet_plane::extensions::TRANSPORT_CC.into(), 3));
    });
    let (mut told, began) = (Vec::new(), pair.world.now);
    for wide in 0_u16..300 {
        let packet = extended(1111, 96, wide.into(), 0, true, KEY_FRAME, &[(3, &wide.to_be_bytes())]);
        pair.world.datagram(&pair.publisher.rtp(&packet, wide.into()), pair.publisher.tuple);
        pair.world.after(10 * MS);
        for plain in pair.publisher.got(&mut pair.world) {
            let Plain::Rtcp(compound) = plain else { continue };
            rtcp::parse(&compound, &mut |each| {
                if let Packet::TransportCc(body) = each {
                    let feedback = packet_plane::twcc::parse_feedback(body).unwrap();
                    told.push(((pair.world.now - began) / MS, feedback.iter().count()));
                }
            });
        }
    }
    assert!((29..=30).contains(&told.len()), "{told:?}");
    assert!(told.windows(2).all(|pair| (50..=110).contains(&(pair[1].0 - pair[0].0))), "{told:?}");
    assert!((290..=300).contains(&told.iter().map(|(_, count)| count).sum::<usize>()), "{told:?}");
}

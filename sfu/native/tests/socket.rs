//! UDP sockets on the real loopback: what a batch is when it arrives, and what keeps no other message back.

use std::net::{SocketAddr, UdpSocket};
use std::os::fd::AsFd;
use std::sync::Arc;
use std::time::Duration;

use packet_plane::batch::Batch;
use packet_plane::ice::Tuple;
use packet_plane::port::bind;
use packet_plane::socket::{NetworkCounters, Sockets, receive};
use packet_plane::system::{self, BATCH, Inbox};

const BOTH: [&str; 2] = ["127.0.0.1:0", "[::1]:0"];

fn at(texts: &[&str]) -> Vec<SocketAddr> {
    texts.iter().map(|text| text.parse().unwrap()).collect()
}

fn receiver(text: &str) -> (UdpSocket, SocketAddr) {
    let socket = UdpSocket::bind(text).unwrap();
    socket.set_read_timeout(Some(Duration::from_secs(5))).unwrap();
    let address = socket.local_addr().unwrap();
    (socket, address)
}

fn received(socket: &UdpSocket, count: usize) -> Vec<Vec<u8>> {
    let mut buffer = [0; 65_536];
    let datagram = |_| socket.recv(&mut buffer).map(|length| buffer[..length].to_vec()).unwrap();
    (0..count).map(datagram).collect()
}

fn sockets(texts: &[&str]) -> (Sockets, Arc<NetworkCounters>) {
    let counters = Arc::<NetworkCounters>::default();
    (Sockets::new(bind(&at(texts), false).unwrap().0, counters.clone()), counters)
}

fn filled(length: usize, with: usize) -> Vec<u8> {
    vec![with as u8; length]
}

#[test]
fn all_addresses_have_one_port_for_udp_and_tcp() {
    let (sockets, listeners) = bind(&at(&BOTH), true).unwrap();
    let port = sockets[0].local_addr().unwrap().port();
    assert_ne!(port, 0);
    assert!(sockets.iter().all(|socket| socket.local_addr().unwrap().port() == port));
    assert!(listeners.iter().all(|listener| listener.local_addr().unwrap().port() == port));
    assert_eq!((sockets.len(), listeners.len()), (2, 2));
}

#[test]
fn a_port_that_one_address_has_taken_is_an_error_and_so_are_two_ports() {
    let (_taken, address) = receiver("[::1]:0");
    let other = SocketAddr::new("127.0.0.1".parse().unwrap(), address.port());
    assert_eq!(bind(&[other, address], false).unwrap_err().kind(), std::io::ErrorKind::AddrInUse);
    assert!(UdpSocket::bind(other).is_ok(), "nothing stays bound after an error");
    assert!(bind(&at(&["127.0.0.1:40001", "[::1]:40002"]), false).is_err());
    assert!(bind(&[], false).is_err());
}

#[test]
fn pieces_arrive_as_the_same_datagrams_whether_the_kernel_cuts_them_or_not() {
    for segments in [true, false] {
        let (mut sockets, counters) = sockets(&BOTH);
        if !segments {
            sockets.unsegmented();
        }
        let ends = [receiver("127.0.0.1:0"), receiver("[::1]:0"), receiver("127.0.0.1:0")];
        let (mut batch, mut expected) = (Batch::default(), [vec![], vec![], vec![]]);
        for round in 0..10 {
            for (end, (_, remote)) in ends.iter().enumerate() {
                let local = remote.is_ipv6() as u16;
                for length in [1200, 1200, 1200, 1200, 700, 120, 120, 1400, 0] {
                    let data = filled(length, expected[end].len() + round);
                    batch.datagram(Tuple { local, remote: *remote }, &data);
                    expected[end].push(data);
                }
            }
        }
        sockets.send(&batch);
        for ((socket, _), expected) in ends.iter().zip(&expected) {
            assert!(received(socket, expected.len()) == *expected);
        }
        assert_eq!(counters.datagrams_sent.get(), 270);
        assert_eq!(counters.bytes_sent.get(), 30 * 7140);
        assert_eq!((counters.refused.get(), counters.unsegmented.get()), (0, 0));
    }
}

#[test]
fn a_socket_that_cannot_cut_is_remembered_and_loses_nothing() {
    let counters = Arc::<NetworkCounters>::default();
    let (bound, _) = bind(&at(&["127.0.0.1:0"]), false).unwrap();
    // The kernel refuses to cut for a socket that sends no checksums.
    system::set_option(bound[0].as_fd(), libc::SOL_SOCKET, libc::SO_NO_CHECK, 1).unwrap();
    let mut sockets = Sockets::new(bound, counters.clone());
    let (end, remote) = receiver("127.0.0.1:0");
    for _ in 0..2 {
        let mut batch = Batch::default();
        let expected: Vec<_> =
            [60, 1200, 1200, 1200, 500, 60].iter().zip(0..).map(|(size, i)| filled(*size, i)).collect();
        for data in &expected {
            batch.datagram(Tuple { local: 0, remote }, data);
        }
        sockets.send(&batch);
        assert!(received(&end, expected.len()) == expected);
        assert_eq!(counters.unsegmented.get(), 1);
    }
    assert_eq!((counters.datagrams_sent.get(), counters.refused.get()), (12, 0));
}

#[test]
fn what_cannot_be_sent_keeps_nothing_else_back() {
    let (mut sockets, counters) = sockets(&["127.0.0.1:0"]);
    let (end, remote) = receiver("127.0.0.1:0");
    let closed = receiver("127.0.0.1:0").1;
    let to = |remote| Tuple { local: 0, remote };
    let mut batch = Batch::default();
    batch.datagram(to(remote), b"one");
    batch.datagram(to(remote), &filled(70_000, 0)); // longer than UDP can
    batch.datagram(to(closed), b"nobody");
    batch.datagram(to("192.0.2.1:9".parse().unwrap()), b"not from 127.0.0.1");
    batch.datagram(Tuple { local: 7, remote }, b"no such socket");
    batch.datagram(to(remote), b"two");
    sockets.send(&batch);
    assert_eq!(received(&end, 2), [b"one".to_vec(), b"two".to_vec()]);
    assert_eq!((counters.too_long.get(), counters.refused.get(), counters.datagrams_sent.get()), (1, 1, 3));
    assert_eq!(counters.unsegmented.get(), 0);
}

#[test]
fn datagrams_come_in_batches_with_their_senders() {
    let (sockets, _) = sockets(&["[::1]:0"]);
    let local = sockets.get(0).unwrap().local_addr().unwrap();
    let (sender, remote) = receiver("[::1]:0");
    for index in 0..BATCH + 6 {
        sender.send_to(&filled(if index == 3 { 2049 } else { index }, index), local).unwrap();
    }
    let mut inbox = Inbox::default();
    assert_eq!(receive(sockets.get(0).unwrap(), &mut inbox), BATCH);
    for index in 0..BATCH {
        match inbox.datagram(index) {
            Some((data, from)) => assert_eq!((&*data, from), (&*filled(index, index), remote)),
            None => assert_eq!(index, 3, "only what is too long is left out"),
        }
    }
    assert!(inbox.datagram(BATCH).is_none());
    assert_eq!(receive(sockets.get(0).unwrap(), &mut inbox), 6);
    assert_eq!(inbox.datagram(0).unwrap().0.len(), BATCH);
    assert_eq!(receive(sockets.get(0).unwrap(), &mut inbox), 0);
}

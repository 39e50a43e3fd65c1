//! Second sockets on the real loopback: which datagrams may wait, that they are read in time, and that the port stays ours alone.

use std::io::ErrorKind;
use std::net::{SocketAddr, UdpSocket};

use packet_plane::patient::{Arrivals, Patient};
use packet_plane::port::bind;
use packet_plane::socket::receive;
use packet_plane::system::{Inbox, Poll, now};

const BOTH: [&str; 2] = ["127.0.0.1:0", "[::1]:0"];

struct Pair {
    sockets: Vec<UdpSocket>,
    patient: Patient,
    poll: Poll,
}

fn pair() -> Pair {
    let addresses: Vec<SocketAddr> = BOTH.iter().map(|text| text.parse().unwrap()).collect();
    let (sockets, _) = bind(&addresses, false).unwrap();
    let poll = Poll::new().unwrap();
    let patient = Patient::beside(&sockets, &poll).unwrap();
    Pair { sockets, patient, poll }
}

fn sent(to: &UdpSocket, data: &[u8]) -> UdpSocket {
    let address = to.local_addr().unwrap();
    let from = UdpSocket::bind((address.ip(), 0)).unwrap();
    from.send_to(data, address).unwrap();
    from
}

/// How many datagrams came to the first socket of an address and to its second: on the loopback they are there once they are sent.
fn came(pair: &Pair, local: u16) -> (usize, usize) {
    let mut inbox = Inbox::default();
    let first = receive(&pair.sockets[usize::from(local)], &mut inbox);
    (first, receive(pair.patient.get(local).unwrap(), &mut inbox))
}

fn control(kind: u8, format: u8) -> Vec<u8> {
    let mut packet = vec![0x80 | format, kind, 0, 7];
    packet.resize(52, 0xEE); // what SRTCP hides
    packet
}

#[test]
fn reports_come_to_the_second_socket_and_what_is_urgent_to_the_first() {
    let pair = pair();
    let padded = |kind, format: u8| control(kind, format | 0x20);
    let patient =
        [control(200, 1), control(201, 0), control(201, 31), control(207, 0), control(205, 15), padded(206, 15)];
    let urgent = [
        control(205, 1),                            // NACK
        control(206, 1),                            // PLI
        control(206, 4),                            // FIR
        control(203, 1),                            // BYE
        control(96, 0),                             // RTP
        control(0x80 | 111, 0),                     // RTP with a marker
        [&[0, 1, 0, 8][..], &[7; 24]].concat(),     // a STUN check
        [&[22, 0xFE, 0xFD][..], &[0; 40]].concat(), // DTLS
        [&[0x4F, 205][..], &[0; 40]].concat(),      // nothing known
        vec![0x81],
        vec![],
    ];
    for local in [0, 1] {
        let to = &pair.sockets[usize::from(local)];
        for data in &patient {
            sent(to, data);
            assert_eq!(came(&pair, local), (0, 1), "{data:?}");
        }
        for data in &urgent {
            sent(to, data);
            assert_eq!(came(&pair, local), (1, 0), "{data:?}");
        }
    }
}

#[test]
fn no_other_process_gets_the_port() {
    let pair = pair();
    let taken: Vec<_> = pair.sockets.iter().map(|socket| socket.local_addr().unwrap()).collect();
    assert_eq!(bind(&taken, false).unwrap_err().kind(), ErrorKind::AddrInUse);
    assert_eq!(UdpSocket::bind(taken[0]).unwrap_err().kind(), ErrorKind::AddrInUse);
    drop(pair);
    assert!(bind(&taken, false).is_ok(), "both sockets of it are closed");
}

#[test]
fn a_report_wakes_who_sleeps_and_waits_while_other_datagrams_come() {
    let Pair { sockets, mut patient, mut poll } = pair();
    let mut ready = Vec::new();
    let began = now();
    assert_eq!(patient.next_due(), u64::MAX);
    sent(&sockets[0], &control(201, 1));
    poll.wait(5_000_000, &mut ready);
    assert_eq!(ready.len(), 1, "it is woken");

    patient.flows(&poll, began - 60_000);
    patient.flows(&poll, began - 10_000 + 1);
    poll.wait(0, &mut ready);
    assert_eq!((ready.len(), patient.next_due()), (1, u64::MAX), "a datagram now and then does not count");
    patient.flows(&poll, began);
    poll.wait(0, &mut ready);
    assert_eq!(ready.len(), 0, "the same report wakes nobody now");
    assert_eq!(patient.next_due(), began + 50_000);
    assert!(patient.reads(&poll, began), "who is awake reads it");
    assert!(!patient.reads(&poll, began + 1_000), "but not all the time");
    patient.flows(&poll, began + 30_000);
    assert_eq!(patient.next_due(), began + 80_000);
    assert!(patient.reads(&poll, began + 80_000), "at last it is read anyway");
    poll.wait(5_000_000, &mut ready);
    assert_eq!((ready.len(), patient.next_due()), (1, u64::MAX), "nothing else came: reports wake again");
}

#[test]
fn what_waited_counts_from_when_it_came() {
    let pair = pair();
    let mut inbox = Inbox::default();
    let before = now();
    sent(&pair.sockets[0], &control(201, 1));
    let after = now();
    while now() < after + 20_000 {
        std::hint::spin_loop();
    }
    assert_eq!(receive(pair.patient.get(0).unwrap(), &mut inbox), 1);
    let came = Arrivals::at(now()).of(&inbox, 0);
    assert!((before.saturating_sub(2_000)..after + 10_000).contains(&came), "{before} {came} {after}");
    sent(&pair.sockets[0], &control(205, 1));
    assert_eq!(receive(&pair.sockets[0], &mut inbox), 1);
    assert_eq!(inbox.stamp(0), None, "the first socket does not stamp");
}

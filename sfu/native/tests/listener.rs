//! ICE over TCP on the real loopback, under a clock of the test's: strangers, floods, and readers that do not read.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::sync::Arc;
use std::time::{Duration, Instant};

use packet_plane::Micros;
use packet_plane::batch::Batch;
use packet_plane::framing::frame;
use packet_plane::ice::Tuple;
use packet_plane::listener::{FIRST, Listener, MOST_OF_ONE, STUCK, UNPROVEN};
use packet_plane::port::bind;
use packet_plane::socket::NetworkCounters;
use packet_plane::system::Poll;

struct Bench {
    listener: Listener,
    poll: Poll,
    addresses: Vec<SocketAddr>,
    counters: Arc<NetworkCounters>,
    got: Vec<(Vec<u8>, Tuple)>,
    now: Micros,
}

impl Bench {
    fn new() -> Bench {
        let addresses = ["127.0.0.1:0", "[::1]:0"].map(|text| text.parse().unwrap());
        let (poll, counters) = (Poll::new().unwrap(), Arc::<NetworkCounters>::default());
        let listeners = bind(&addresses, true).unwrap().1;
        let addresses = listeners.iter().map(|listener| listener.local_addr().unwrap()).collect();
        let listener = Listener::new(listeners, &poll, counters.clone()).unwrap();
        Bench { listener, poll, addresses, counters, got: Vec::new(), now: 1_000_000 }
    }

    fn connect(&self, local: usize) -> TcpStream {
        let stream = TcpStream::connect(self.addresses[local]).unwrap();
        stream.set_read_timeout(Some(Duration::from_secs(5))).unwrap();
        stream
    }

    /// Let the listener do what comes until something holds.
    fn until(&mut self, mut holds: impl FnMut(&mut Bench) -> bool) {
        let (deadline, mut ready, mut buffer) = (Instant::now() + Duration::from_secs(5), Vec::new(), [0; 2048]);
        while !holds(self) {
            assert!(Instant::now() < deadline);
            self.poll.wait(10_000, &mut ready);
            for one in &ready {
                self.listener.ready(*one, &self.poll, self.now);
                while let Some((length, from)) = self.listener.next_datagram(one.token, &mut buffer) {
                    self.got.push((buffer[..length].to_vec(), from));
                }
            }
        }
    }

    fn accepted(&mut self, count: u64) {
        self.until(|bench| bench.counters.accepted.get() + bench.counters.rejected.get() == count);
    }

    fn send(&mut self, to: Tuple, datagrams: &[Vec<u8>]) {
        let mut batch = Batch::default();
        for datagram in datagrams {
            batch.datagram(to, datagram);
        }
        self.listener.send(&batch, &self.poll, self.now);
    }

    fn round(&mut self, after: Micros, known: bool) {
        self.now += after;
        self.listener.round(self.now, &self.poll, |_| known);
    }
}

fn closed(stream: &mut TcpStream) -> bool {
    matches!(stream.read(&mut [0]), Ok(0)) || matches!(stream.take_error(), Ok(Some(_)))
}

fn framed(datagrams: &[&[u8]]) -> Vec<u8> {
    let mut bytes = Vec::new();
    for datagram in datagrams {
        frame(&mut bytes, datagram);
    }
    bytes
}

#[test]
fn datagrams_come_whole_however_the_stream_brings_them() {
    let mut bench = Bench::new();
    let (mut one, mut six) = (bench.connect(0), bench.connect(1));
    let bytes = framed(&[b"first", &[7; 1200], b"third"]);
    one.write_all(&bytes).unwrap();
    bench.until(|bench| bench.got.len() == 3);
    for byte in &bytes {
        six.write_all(&[*byte]).unwrap();
        bench.until(|bench| bench.counters.accepted.get() == 2);
    }
    bench.until(|bench| bench.got.len() == 6);
    let data = |index: usize| bench.got[index].0.clone();
    assert!((0..3).all(|index| data(index) == data(index + 3)));
    assert_eq!((data(0), data(1).len(), data(2)), (b"first".to_vec(), 1200, b"third".to_vec()));
    assert_eq!(bench.got[0].1.remote, one.local_addr().unwrap());
    assert_eq!(bench.got[3].1.remote, six.local_addr().unwrap());
    assert!(bench.got.iter().all(|(_, from)| from.local >= FIRST));
    let back = bench.got[3].1;
    bench.send(back, &[b"answer".to_vec(), b"more".to_vec()]);
    let mut answer = [0; 14];
    six.read_exact(&mut answer).unwrap();
    assert_eq!(answer.to_vec(), framed(&[b"answer", b"more"]));
}

#[test]
fn what_is_no_framing_ends_the_connection() {
    let mut bench = Bench::new();
    let mut stream = bench.connect(0);
    stream.write_all(b"GET / HTTP/1.1\r\n\r\n").unwrap();
    bench.until(|bench| bench.counters.evicted.get() == 1);
    assert!(closed(&mut stream));
    assert!(bench.got.is_empty());
    assert_eq!(bench.listener.pop_gone().unwrap().remote, stream.local_addr().unwrap());
}

#[test]
fn a_peer_that_closes_is_told_as_gone() {
    let mut bench = Bench::new();
    let stream = bench.connect(0);
    let remote = stream.local_addr().unwrap();
    bench.accepted(1);
    drop(stream);
    bench.until(|bench| bench.counters.connections.get() == 0);
    assert_eq!(bench.listener.pop_gone().unwrap().remote, remote);
    assert!(bench.listener.pop_gone().is_none());
}

#[test]
fn a_stranger_is_closed_after_his_time_and_a_peer_is_not() {
    let mut bench = Bench::new();
    let mut stream = bench.connect(0);
    bench.accepted(1);
    bench.round(UNPROVEN - 1, false);
    assert_eq!(bench.counters.connections.get(), 1);
    bench.round(1_000_000, true);
    assert_eq!(bench.counters.connections.get(), 1);
    bench.round(1_000_000, false);
    assert_eq!((bench.counters.connections.get(), bench.counters.evicted.get()), (0, 1));
    assert!(closed(&mut stream));
    assert_eq!(bench.listener.next_round(), Micros::MAX, "nothing is open, so nothing is due");
}

#[test]
fn one_address_has_its_share_of_connections_and_leaves_others_theirs() {
    let mut bench = Bench::new();
    let mut flood: Vec<_> = (0..MOST_OF_ONE + 10).map(|_| bench.connect(0)).collect();
    bench.accepted(flood.len() as u64);
    assert_eq!((bench.counters.connections.get(), bench.counters.rejected.get()), (MOST_OF_ONE as u64, 10));
    assert_eq!(flood.split_off(MOST_OF_ONE).iter_mut().filter_map(|stream| closed(stream).then_some(())).count(), 10);
    let _other = bench.connect(1);
    bench.until(|bench| bench.counters.connections.get() == MOST_OF_ONE as u64 + 1);
    flood.pop();
    bench.until(|bench| bench.counters.connections.get() == MOST_OF_ONE as u64);
    flood.push(bench.connect(0));
    bench.until(|bench| bench.counters.connections.get() == MOST_OF_ONE as u64 + 1);
}

#[test]
fn a_slow_reader_loses_datagrams_and_one_that_never_reads_the_connection() {
    let mut bench = Bench::new();
    let mut stream = bench.connect(0);
    stream.write_all(&framed(&[b"hello"])).unwrap();
    bench.until(|bench| bench.got.len() == 1);
    let to = bench.got[0].1;
    let mut number = 0u32;
    while bench.counters.slow.get() < 100 {
        let datagrams: Vec<_> = (number..number + 20).map(|n| n.to_be_bytes().repeat(300)).collect();
        number += 20;
        bench.send(to, &datagrams);
        assert!(number < 100_000, "it never takes so much");
    }
    // What it gets when it reads is whole and in order.
    let kept = bench.counters.datagrams_sent.get();
    let mut clone = stream.try_clone().unwrap();
    let reader = std::thread::spawn(move || {
        let (mut last, mut frame) = (None, [0; 1202]);
        for _ in 0..kept {
            clone.read_exact(&mut frame).unwrap();
            assert_eq!(frame[..2], 1200u16.to_be_bytes());
            assert!(frame[2..].chunks(4).all(|chunk| *chunk == frame[2..6]));
            let number = u32::from_be_bytes(frame[2..6].try_into().unwrap());
            assert!(last < Some(number));
            last = Some(number);
        }
    });
    bench.until(|_| reader.is_finished());
    reader.join().unwrap();
    assert_eq!(bench.counters.connections.get(), 1);
    // And now it does not read at all.
    while bench.counters.slow.get() < 300 {
        bench.send(to, &[vec![0; 1200]]);
    }
    bench.round(STUCK - 1, true);
    assert_eq!(bench.counters.connections.get(), 1);
    bench.round(1_000_000, true);
    assert_eq!(bench.counters.connections.get(), 0);
    assert_eq!(bench.listener.pop_gone(), Some(to));
    bench.send(to, &[b"to nobody".to_vec()]);
}

//! A worker on real sockets: with a machine that answers what it gets, and with the plane's core.

mod peer;

use std::collections::HashSet;
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream, UdpSocket};
use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};

use packet_plane::Micros;
use packet_plane::batch::Output;
use packet_plane::core::{self, Core};
use packet_plane::counters::PlaneCounters;
use packet_plane::framing::frame;
use packet_plane::ice::{Credentials, Tuple};
use packet_plane::listener::FIRST;
use packet_plane::machine::Machine;
use packet_plane::order::{Event, Order};
use packet_plane::port::bind;
use packet_plane::system::{Poll, now};
use packet_plane::worker::{Config, Worker};

const LIMIT: Duration = Duration::from_secs(5);

/// Sends back what it gets, tells what it is ordered to send, and has one timer, which "later" sets.
#[derive(Default)]
struct Echo {
    counters: Arc<PlaneCounters>,
    due_at: Option<Micros>,
    known: HashSet<Tuple>,
}

fn told(data: &[u8]) -> Event {
    Event::DatagramReceived { transport: "echo".into(), data: data.to_vec() }
}

fn ordered(data: &[u8]) -> Order {
    Order::SendDatagram { transport: "echo".into(), data: data.to_vec() }
}

impl Machine for Echo {
    fn order(&mut self, order: Order, now: Micros, out: &mut Output) {
        let Order::SendDatagram { data, .. } = order else {
            return;
        };
        match &*data {
            b"later" => self.due_at = Some(now + 20_000),
            data => out.events.push(told(data)),
        }
    }

    fn datagram(&mut self, data: &mut [u8], from: Tuple, _: Micros, out: &mut Output) {
        assert_ne!(data, b"die");
        self.known.insert(from);
        self.counters.packets_received.add(1);
        out.make_room();
        out.batch.datagram(from, data);
    }

    fn next_due(&self) -> Micros {
        self.due_at.unwrap_or(Micros::MAX)
    }

    fn due(&mut self, now: Micros, out: &mut Output) {
        assert!(self.due_at.take().is_some_and(|at| at <= now));
        out.events.push(told(b"now"));
    }

    fn knows(&self, tuple: Tuple) -> bool {
        self.known.contains(&tuple)
    }

    fn gone(&mut self, tuple: Tuple, _: Micros) {
        self.known.remove(&tuple);
    }
}

fn config(addresses: &[SocketAddr]) -> Config {
    Config { name: "test".to_owned(), addresses: addresses.to_vec(), tcp: true, pin: None }
}

fn any() -> Vec<SocketAddr> {
    ["127.0.0.1:0", "[::1]:0"].map(|text| text.parse().unwrap()).to_vec()
}

fn start(config: Config) -> Worker {
    Worker::start(config, |counters| Echo { counters, ..Echo::default() }).unwrap()
}

/// Wait for events until there are so many.
fn events(worker: &Worker, count: usize) -> Vec<Event> {
    let mut poll = Poll::new().unwrap();
    poll.add(&worker.descriptor(), 0).unwrap();
    let (mut events, mut ready, deadline) = (Vec::new(), Vec::new(), Instant::now() + LIMIT);
    while events.len() < count {
        assert!(Instant::now() < deadline, "{} of {count} events came", events.len());
        poll.wait(10_000, &mut ready);
        if !ready.is_empty() {
            events.extend(worker.drain());
        }
    }
    events
}

fn until(holds: impl Fn() -> bool) {
    let deadline = Instant::now() + LIMIT;
    while !holds() {
        assert!(Instant::now() < deadline);
        thread::yield_now();
    }
}

fn echoed(address: SocketAddr, count: u32) {
    let socket = UdpSocket::bind((if address.is_ipv4() { "127.0.0.1" } else { "::1" }, 0)).unwrap();
    socket.set_read_timeout(Some(LIMIT)).unwrap();
    socket.connect(address).unwrap();
    for number in 0..count {
        socket.send(&number.to_be_bytes().repeat(300)).unwrap();
    }
    let mut buffer = [0; 2048];
    for number in 0..count {
        assert_eq!(socket.recv(&mut buffer).unwrap(), 1200);
        assert_eq!(buffer[..1200], number.to_be_bytes().repeat(300));
    }
}

/// What comes back of a frame over TCP.
fn exchanged(address: SocketAddr) -> [u8; 10] {
    let mut stream = TcpStream::connect(address).unwrap();
    stream.set_read_timeout(Some(LIMIT)).unwrap();
    let mut bytes = Vec::new();
    frame(&mut bytes, b"still here");
    stream.write_all(&bytes).unwrap();
    let mut answer = [0; 12];
    stream.read_exact(&mut answer).unwrap();
    *answer.last_chunk().unwrap()
}

#[test]
fn datagrams_are_answered_on_all_addresses_in_their_order() {
    let worker = start(Config { pin: Some(0), ..config(&any()) });
    assert_eq!(worker.addresses().len(), 2);
    for address in worker.addresses() {
        assert_eq!(address.port(), worker.port());
        echoed(*address, 50);
    }
    assert_eq!(worker.counters().packets_received.get(), 100);
    until(|| worker.counters().packets_sent.get() == 100);
    until(|| worker.network().datagrams_sent.get() == 100);
}

#[test]
fn a_frame_is_answered_on_the_connection_that_it_came_on() {
    let worker = start(config(&any()));
    for address in worker.addresses() {
        let mut stream = TcpStream::connect(address).unwrap();
        stream.set_read_timeout(Some(LIMIT)).unwrap();
        let mut bytes = Vec::new();
        frame(&mut bytes, b"one");
        frame(&mut bytes, &[9; 2000]);
        let (begin, end) = bytes.split_at(4);
        stream.write_all(begin).unwrap();
        stream.write_all(end).unwrap();
        let mut answer = vec![0; bytes.len()];
        stream.read_exact(&mut answer).unwrap();
        assert_eq!(answer, bytes);
    }
    until(|| worker.network().connections.get() == 0);
}

#[test]
fn orders_are_carried_out_in_the_order_given() {
    let worker = start(config(&any()));
    for number in 0..5_000u32 {
        worker.order(ordered(&number.to_be_bytes()));
    }
    let expected: Vec<_> = (0..5_000u32).map(|number| told(&number.to_be_bytes())).collect();
    assert!(events(&worker, expected.len()) == expected);
}

#[test]
fn a_timer_ends_the_sleep() {
    let worker = start(config(&any()));
    let began = now();
    worker.order(ordered(b"later"));
    assert_eq!(events(&worker, 1), [told(b"now")]);
    assert!(now() - began >= 20_000);
}

#[test]
fn a_panic_is_told_closes_the_descriptors_and_swallows_orders() {
    let worker = start(config(&any()));
    let mut stream = TcpStream::connect(worker.addresses()[0]).unwrap();
    stream.set_read_timeout(Some(LIMIT)).unwrap();
    until(|| worker.network().accepted.get() == 1);
    worker.order(ordered(b"before"));
    worker.order(Order::Panic);
    worker.order(ordered(b"after"));
    assert_eq!(events(&worker, 2), [told(b"before"), Event::Died { reason: "ordered to panic".to_owned() }]);
    assert!(!matches!(stream.read(&mut [0]), Ok(1..)));
    assert!(bind(worker.addresses(), true).is_ok(), "the sockets are closed once it is told");
    worker.order(ordered(b"to nobody"));
    assert_eq!(worker.busy_for(), None);
    assert!(worker.close(LIMIT));
    assert!(worker.drain().is_empty());
}

#[test]
fn a_panic_over_a_packet_or_at_the_start_is_told_too() {
    let worker = start(config(&any()));
    let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
    socket.send_to(b"die", worker.addresses()[0]).unwrap();
    assert!(matches!(&events(&worker, 1)[..], [Event::Died { reason }] if reason.contains("left != right")));
    let worker = Worker::start(config(&any()), |_| -> Echo { panic!("no {}", "core") }).unwrap();
    assert_eq!(events(&worker, 1), [Event::Died { reason: "no core".to_owned() }]);
}

#[test]
fn a_worker_that_stands_still_is_told_from_one_that_sleeps() {
    let worker = start(config(&any()));
    until(|| worker.busy_for().is_none());
    let beat = worker.beat();
    worker.wake();
    until(|| worker.beat() > beat && worker.busy_for().is_none());
    let beat = worker.beat();
    worker.order(Order::Stall { milliseconds: 150 });
    until(|| worker.busy_for().is_some_and(|time| time > 100_000));
    assert_eq!(worker.beat(), beat + 1);
    worker.wake();
    until(|| worker.beat() > beat + 1 && worker.busy_for().is_none());
}

#[test]
fn closing_obeys_what_was_ordered_and_frees_the_port() {
    let worker = start(config(&any()));
    let addresses = worker.addresses().to_vec();
    echoed(addresses[0], 1);
    assert!(bind(&addresses, true).is_err());
    worker.order(Order::Stall { milliseconds: 20 });
    assert!(worker.close(LIMIT));
    assert!(bind(&addresses, true).is_ok());
    worker.order(Order::Panic);
    assert!(worker.close(LIMIT));
    assert!(worker.drain().is_empty());
    assert!(worker.cpu() > 0);
    let again = start(config(&addresses));
    assert_eq!(again.addresses(), addresses);
}

#[test]
fn a_worker_that_stands_still_is_not_waited_for_and_leaves_its_port() {
    let worker = start(config(&any()));
    let addresses = worker.addresses().to_vec();
    echoed(addresses[0], 1);
    worker.order(Order::Stall { milliseconds: 2_000 });
    worker.order(ordered(b"late"));
    until(|| worker.busy_for().is_some_and(|time| time > 100_000));
    let began = Instant::now();
    assert!(!worker.close(Duration::from_millis(50)));
    let again = start(config(&addresses));
    assert!(!worker.close(LIMIT), "nobody waits twice");
    assert!(began.elapsed() < Duration::from_millis(1_000), "it stands still all the while");
    for address in &addresses {
        echoed(*address, 20);
        assert_eq!(&exchanged(*address), b"still here");
    }
    until(|| worker.close(LIMIT));
    assert!(worker.drain().iter().all(|event| *event == told(b"late")), "it was not told of its end");
    echoed(addresses[0], 20);
    assert_eq!(again.counters().packets_received.get(), 62, "what came for the port came to the one that has it");
    assert_eq!(worker.counters().packets_received.get(), 1);
    let began = Instant::now();
    drop(worker);
    assert!(began.elapsed() < Duration::from_millis(100));
}

#[test]
fn to_drop_a_worker_that_stands_still_waits_for_it_only_once() {
    let worker = start(config(&any()));
    let addresses = worker.addresses().to_vec();
    worker.order(Order::Stall { milliseconds: 2_000 });
    until(|| worker.busy_for().is_some_and(|time| time > 300_000));
    let began = Instant::now();
    drop(worker);
    assert!(began.elapsed() < Duration::from_millis(150), "its turn lasted too long already");
    assert!(bind(&addresses, true).is_ok());
}

#[test]
fn datagrams_that_nobody_takes_are_not_kept_for_ever() {
    let worker = start(config(&any()));
    let most = packet_plane::mailbox::MOST_EVENTS;
    for number in 0..most as u32 + 1_000 {
        worker.order(ordered(&number.to_be_bytes()));
    }
    worker.order(Order::Panic);
    until(|| bind(worker.addresses(), false).is_ok()); // it died
    let events = events(&worker, most + 1);
    assert_eq!(events.len(), most + 1);
    assert!(matches!(events.last(), Some(Event::Died { .. })));
}

#[test]
fn a_peer_is_found_over_udp_and_moves_to_a_tcp_connection() {
    let plane = core::Config { consent_timeout: 30_000_000, frame_wait: 0, seed: 1 };
    let made = move |counters| {
        let mut core = Core::new(plane);
        core.counters = counters;
        core
    };
    let worker = Worker::start(config(&any()), made).unwrap();
    let password = "a password that is long enough";
    let ice = Credentials { fragment: "ours".to_owned(), password: password.to_owned() };
    worker.order(Order::OpenTransport { transport: "one".into(), ice, counters: Arc::default() });
    let check = peer::check("ours:theirs", password, &[(peer::ICE_CONTROLLING, &[1; 8]), (peer::PRIORITY, &[1; 4])]);
    let mut buffer = [0; 2048];

    let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
    socket.set_read_timeout(Some(LIMIT)).unwrap();
    socket.connect(worker.addresses()[0]).unwrap();
    socket.send(&check).unwrap();
    let length = socket.recv(&mut buffer).unwrap();
    assert_eq!(peer::Answer::read(&buffer[..length], password).address(), socket.local_addr().unwrap());
    let remote = socket.local_addr().unwrap();
    assert!(
        matches!(&events(&worker, 1)[..], [Event::IceSelected { tuple: Tuple { local: 0, remote: at }, .. }] if *at == remote)
    );

    let mut stream = TcpStream::connect(worker.addresses()[1]).unwrap();
    stream.set_read_timeout(Some(LIMIT)).unwrap();
    let check = peer::check(
        "ours:theirs",
        password,
        &[(peer::ICE_CONTROLLING, &[1; 8]), (peer::PRIORITY, &[1; 4]), (peer::USE_CANDIDATE, &[])],
    );
    let mut bytes = Vec::new();
    frame(&mut bytes, &check);
    stream.write_all(&bytes).unwrap();
    stream.read_exact(&mut buffer[..2]).unwrap();
    let length = u16::from_be_bytes([buffer[0], buffer[1]]).into();
    stream.read_exact(&mut buffer[..length]).unwrap();
    let remote = stream.local_addr().unwrap();
    assert_eq!(peer::Answer::read(&buffer[..length], password).address(), remote);
    let tuple = Tuple { local: FIRST, remote };
    assert_eq!(events(&worker, 1), [Event::IceSelected { transport: "one".into(), tuple, nominated: true }]);
    assert_eq!(worker.counters().packets_received.get(), 2);
    until(|| worker.counters().packets_sent.get() == 2);
    assert!(worker.close(LIMIT));
}

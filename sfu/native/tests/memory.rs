//! What transports, consumers and histories hold in memory, what idle ones cost, what is allocated for who proves nothing.

mod peer;
mod world;

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;
use std::sync::atomic::{AtomicIsize, Ordering::Relaxed};
use std::sync::{Mutex, MutexGuard};
use std::time::Instant;

use packet_plane::ice::Credentials;
use packet_plane::order::{Order, Secret};
use packet_plane::rtcp;
use world::{GCM, MS, Peer, SECOND, World, consumer, packet, tuple, video};

/// The system's allocator, counted.
struct Counted;

static HELD: AtomicIsize = AtomicIsize::new(0);

thread_local! {
    static ALLOCATIONS: Cell<u64> = const { Cell::new(0) };
}

// SAFETY: all calls go to the system's allocator as they come.
unsafe impl GlobalAlloc for Counted {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        HELD.fetch_add(layout.size() as isize, Relaxed);
        ALLOCATIONS.set(ALLOCATIONS.get() + 1);
        // SAFETY: the caller's promises are passed on.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, at: *mut u8, layout: Layout) {
        HELD.fetch_sub(layout.size() as isize, Relaxed);
        // SAFETY: the caller's promises are passed on.
        unsafe { System.dealloc(at, layout) }
    }
}

#[global_allocator]
static ALLOCATOR: Counted = Counted;

/// One test at a time: they share the counts.
fn alone() -> MutexGuard<'static, ()> {
    static ALONE: Mutex<()> = Mutex::new(());
    ALONE.lock().unwrap_or_else(|error| error.into_inner())
}

fn held() -> isize {
    HELD.load(Relaxed)
}

/// Resident memory of the process, in bytes; what C code allocates counts here.
fn resident() -> isize {
    let text = std::fs::read_to_string("/proc/self/statm").unwrap();
    4096 * text.split(' ').nth(1).unwrap().parse::<isize>().unwrap()
}

/// Open a transport that was checked and has keys, as `Peer::new` without a peer.
fn open(world: &mut World, number: usize) {
    let name = format!("9f3c1e52-7a4b-4a63-8d2e-{number:012}");
    let ice = Credentials { fragment: format!("{number:032}"), password: format!("{number:032}") };
    world.order(Order::OpenTransport {
        transport: name.as_str().into(),
        ice: ice.clone(),
        counters: Default::default(),
    });
    let from = tuple(0, &format!("10.1.{}.{}:9", number / 250, number % 250));
    let attributes: [(u16, &[u8]); 2] = [(peer::ICE_CONTROLLING, &[7; 8]), (peer::USE_CANDIDATE, &[])];
    world.datagram(&peer::check(&format!("{}:peer", ice.fragment), &ice.password, &attributes), from);
    world.order(Order::SecureTransport {
        transport: name.as_str().into(),
        profile: GCM.into(),
        receive_key: Secret(vec![1; 28].into()),
        send_key: Secret(vec![2; 28].into()),
    });
    assert_eq!(world.sent().len(), 1);
}

fn send(world: &mut World, publisher: &Peer, number: u64, size: usize) {
    let mut payload = vec![0; size];
    payload[..2].copy_from_slice(&[0x10, u8::from(number % 500 != 0)]);
    let plain = packet(1111, 96, number, number as u32 * 100, number % 10 == 9, &payload);
    world.datagram(&publisher.rtp(&plain, number), publisher.tuple);
}

#[test]
fn transports_and_consumers_at_rest_are_small_and_cost_next_to_nothing() {
    let _alone = alone();
    const COUNT: usize = 2000;
    let mut world = World::new();
    let publisher = Peer::new(&mut world, "publisher", tuple(0, "192.0.2.1:1"), GCM);
    world.order(Order::AddProducer(Box::new(video("publisher", "video"))));
    world.sent();
    let each = |before: isize, now: isize| (now - before) / COUNT as isize;
    let (before, resident_before) = (held(), resident());
    (0..COUNT).for_each(|number| open(&mut world, number));
    let (transport, transport_resident) = (each(before, held()), each(resident_before, resident()));

    let mut seconds: Vec<u128> = (0..25)
        .map(|_| {
            let began = Instant::now();
            world.after(SECOND);
            began.elapsed().as_nanos()
        })
        .collect();
    seconds.sort_unstable();
    let idle = seconds[seconds.len() / 2];
    println!("{COUNT} idle transports: {} µs a second", idle / 1000);
    world.sent();

    let (before, resident_before) = (held(), resident());
    for number in 0..COUNT {
        let name = format!("9f3c1e52-7a4b-4a63-8d2e-{number:012}");
        let mut order = consumer(&name, "video", 5000);
        order.counters = Default::default();
        world.order(Order::AddConsumer(Box::new(order)));
    }
    let (consumer, consumer_resident) = (each(before, held()), each(resident_before, resident()));
    for number in 0..50 {
        send(&mut world, &publisher, number, 1000);
        world.after(MS);
        world.sent();
    }
    let mut report = Vec::new();
    rtcp::write_sender_report(&mut report, 1111, 5 << 32, 0, 1, 1, "sender");
    let mut publisher = publisher;
    publisher.report(&mut world, &report);
    send(&mut world, &publisher, 50, 1000);
    for _ in 0..6 {
        world.after(SECOND);
        world.sent();
    }
    let (used, used_resident) = (each(before, held()), each(resident_before, resident()));
    println!("a transport: {transport} bytes, resident {transport_resident}");
    println!("a consumer: {consumer} bytes, resident {consumer_resident}; after use {used}, resident {used_resident}");
    assert!(transport < 8 << 10 && transport_resident < 16 << 10, "{transport} {transport_resident}");
    assert!(used < 4 << 10 && used_resident < 10 << 10, "{used} {used_resident}");
    assert!(idle < 5_000_000, "{idle} ns a second: more than 0.5 % of a core");
}

#[test]
fn a_fast_stream_holds_a_thousand_packets_and_a_silent_one_nothing() {
    let _alone = alone();
    let mut world = World::new();
    let publisher = Peer::new(&mut world, "publisher", tuple(0, "192.0.2.1:1"), GCM);
    let _receiver = Peer::new(&mut world, "receiver", tuple(0, "192.0.2.1:2"), GCM);
    world.order(Order::AddProducer(Box::new(video("publisher", "video"))));
    world.order(Order::AddConsumer(Box::new(consumer("receiver", "video", 5000))));
    let mut number = 0;
    let mut run = |world: &mut World, count: u64, size: usize, pause: u64| {
        for _ in 0..count {
            send(world, &publisher, number, size);
            number += 1;
            world.after(pause);
            world.sent();
        }
        held()
    };
    let slow = run(&mut world, 50, 1000, 40 * MS); // buffers are there
    let after: Vec<isize> = (0..5).map(|_| run(&mut world, 3125, 1200, 320) - slow).collect();
    println!("above a slow stream, after 1 to 5 s of 30 Mbit/s: {after:?} bytes");
    assert!(after.iter().all(|more| *more < 2_200_000), "{after:?}");
    let slow_again = run(&mut world, 100, 1000, 40 * MS) - slow;
    world.after(10 * SECOND);
    world.sent();
    let silent = held() - slow;
    println!("slow again: {slow_again}, silent: {silent}");
    assert!(slow_again < 300_000 && silent < 0, "{slow_again} {silent}");
}

#[test]
fn who_comes_and_goes_leaves_nothing() {
    let _alone = alone();
    let mut world = World::new();
    let mut visit = |number: usize| {
        let name = format!("9f3c1e52-7a4b-4a63-8d2e-{number:012}");
        open(&mut world, number);
        world.order(Order::AddProducer(Box::new(video(&name, &name))));
        world.order(Order::AddConsumer(Box::new(consumer(&name, &name, 5000))));
        world.after(20 * MS);
        world.order(Order::RemoveConsumer { consumer: format!("{name} of {name}").into() });
        world.order(Order::RemoveProducer { producer: name.as_str().into() });
        world.order(Order::CloseTransport { transport: name.as_str().into() });
        world.sent();
        world.events.clear();
    };
    (0..100).for_each(&mut visit);
    let (before, resident_before) = (held(), resident());
    (100..2100).for_each(&mut visit);
    let (more, resident_more) = (held() - before, resident() - resident_before);
    println!("2,000 visits later: {more} bytes more, resident {resident_more}");
    assert!(more < 4096 && resident_more < 1 << 20, "{more} {resident_more}");
}

#[test]
fn who_proves_nothing_has_nothing_allocated_for_him() {
    let _alone = alone();
    let mut world = World::new();
    let publisher = Peer::new(&mut world, "publisher", tuple(0, "192.0.2.1:1"), GCM);
    world.order(Order::AddProducer(Box::new(video("publisher", "video"))));
    send(&mut world, &publisher, 1, 100);
    world.sent();
    let wrong = peer::check("of-publisher:peer", "a wrong password", &[(peer::ICE_CONTROLLING, &[7; 8])]);
    let unknown = peer::check("of-nobody:peer", "a wrong password", &[(peer::ICE_CONTROLLING, &[7; 8])]);
    let media = packet(1111, 96, 5, 0, true, &[0; 100]);
    let feedback = [&[0x81, 206, 0, 2][..], &[0; 40]].concat();
    let inputs = [wrong, unknown, media, feedback, vec![0; 1200], vec![]];
    for from in [publisher.tuple, tuple(0, "203.0.113.5:5"), tuple(9, "[2001:db8::1]:5")] {
        for input in &inputs {
            let (mut data, mut most) = (input.clone(), 0);
            for _ in 0..10 {
                data.copy_from_slice(input);
                let before = ALLOCATIONS.get();
                world.step(|core, now, out| core.datagram(&mut data, from, now, out));
                most = most.max(ALLOCATIONS.get() - before);
            }
            assert_eq!(most, 0, "{:?} from {from:?}", &input[..input.len().min(20)]);
        }
    }
    assert_eq!(world.sent(), []);
}

//! What passes between control and a worker's thread: orders down, events up, each with a descriptor that tells of the first.
//!
//! Neither waits for the other: control holds the orders' lock for a push, the worker for a swap, and events need none.

use std::os::fd::{AsRawFd, RawFd};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use crossbeam_queue::SegQueue;

use crate::Micros;
use crate::counters::Counter;
use crate::order::{Event, Order};
use crate::system::{self, Wake};

/// Events that may wait; past it datagrams are dropped (DTLS repeats them), other events never.
pub const MOST_EVENTS: usize = 16 * 1024;

#[derive(Clone, Copy, PartialEq, Eq)]
enum State {
    Open,
    Closing,
    Ended,
}

struct Down {
    orders: Vec<Order>,
    state: State,
}

/// Shared by a worker's thread and whoever gives it orders.
pub struct Mailbox {
    down: Mutex<Down>,
    ended: Condvar,
    ordered: Wake,
    up: SegQueue<Event>,
    told: AtomicBool,
    happened: Wake,
    beat: Counter,
    busy_since: AtomicU64,
    /// CPU time that the thread took, at most a second of its work ago.
    pub cpu: Counter,
}

impl Mailbox {
    /// An empty one.
    pub fn new() -> std::io::Result<Mailbox> {
        Ok(Mailbox {
            down: Mutex::new(Down { orders: Vec::new(), state: State::Open }),
            ended: Condvar::new(),
            ordered: Wake::new()?,
            up: SegQueue::new(),
            told: AtomicBool::new(false),
            happened: Wake::new()?,
            beat: Counter::default(),
            busy_since: AtomicU64::new(0),
            cpu: Counter::default(),
        })
    }

    fn down(&self) -> MutexGuard<'_, Down> {
        self.down.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Give an order. Nobody takes it any more once the worker died or is closed.
    pub fn order(&self, order: Order) {
        let mut down = self.down();
        if down.state == State::Open {
            down.orders.push(order);
            if down.orders.len() == 1 {
                self.ordered.signal();
            }
        }
    }

    /// Take the events that happened since the last time, in their order.
    pub fn drain(&self) -> Vec<Event> {
        self.happened.clear();
        self.told.swap(false, Ordering::AcqRel);
        let count = self.up.len();
        std::iter::from_fn(|| self.up.pop()).take(count).collect()
    }

    /// The descriptor that is readable while there are events.
    pub fn descriptor(&self) -> RawFd {
        self.happened.as_raw_fd()
    }

    /// Have the worker make a turn, whether it has something to do or not: its beat moves if it lives.
    pub fn wake(&self) {
        self.ordered.signal();
    }

    /// Turns that the worker made.
    pub fn beat(&self) -> u64 {
        self.beat.get()
    }

    /// How long the worker's turn has lasted; None while it sleeps.
    pub fn busy_for(&self) -> Option<Micros> {
        let since = self.busy_since.load(Ordering::Relaxed);
        (since > 0).then(|| system::now().saturating_sub(since))
    }

    /// Have the worker end after the orders given so far, and wait for it; false if it has not within the limit.
    pub fn close(&self, limit: Duration) -> bool {
        let mut down = self.down();
        if down.state == State::Open {
            down.state = State::Closing;
        }
        self.ordered.signal();
        let waited = self.ended.wait_timeout_while(down, limit, |down| down.state != State::Ended);
        waited.unwrap_or_else(PoisonError::into_inner).0.state == State::Ended
    }

    /// The worker's: the descriptor that is readable while there are orders.
    pub fn ordered(&self) -> &Wake {
        &self.ordered
    }

    /// The worker's: swap the orders with an empty vector; false if they are the last.
    pub fn take(&self, orders: &mut Vec<Order>) -> bool {
        self.ordered.clear();
        let mut down = self.down();
        std::mem::swap(&mut down.orders, orders);
        down.state == State::Open
    }

    /// The worker's: tell events.
    pub fn tell(&self, events: &mut Vec<Event>) {
        if events.is_empty() {
            return;
        }
        let crowded = self.up.len() + events.len() > MOST_EVENTS;
        for event in events.drain(..) {
            if !(crowded && matches!(event, Event::DatagramReceived { .. })) {
                self.up.push(event);
            }
        }
        if !self.told.swap(true, Ordering::AcqRel) {
            self.happened.signal();
        }
    }

    /// The worker's: a turn begins.
    pub fn wakes(&self, now: Micros) {
        self.beat.add(1);
        self.busy_since.store(now.max(1), Ordering::Relaxed);
    }

    /// The worker's: a turn is over.
    pub fn sleeps(&self) {
        self.busy_since.store(0, Ordering::Relaxed);
    }

    /// The worker's: it ends, of this if not by order; what it held is freed.
    pub fn end(&self, reason: Option<String>) {
        self.sleeps();
        if let Some(reason) = reason {
            self.tell(&mut vec![Event::Died { reason }]);
        }
        let mut down = self.down();
        down.state = State::Ended;
        down.orders = Vec::new();
        self.ended.notify_all();
    }
}

//! One thread that owns a plane's sockets and its core: it sleeps until something comes or is due, and never waits besides.
//!
//! A panic on it ends this worker only: its descriptors are closed, `Died` is told, and orders after it have no effect. A thread that
//! stands still is not waited for: its sockets are taken from it, so that their port is free, and it ends when it goes on.

use std::any::Any;
use std::io;
use std::net::SocketAddr;
use std::os::fd::{AsFd, RawFd};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use crate::Micros;
use crate::counters::PlaneCounters;
use crate::listener::Listener;
use crate::machine::Machine;
use crate::mailbox::Mailbox;
use crate::order::{Event, Order};
use crate::patient::Patient;
use crate::port;
use crate::socket::{NetworkCounters, Sockets};
use crate::system::{self, Poll};
use crate::turn::{Loop, Network, ORDERS, Shared};

/// How long a turn may last before closing waits for its thread no longer.
pub const PATIENCE: Duration = Duration::from_millis(250);

/// A socket that the thread owns, as long as it has it.
type Lent = Weak<dyn AsFd + Send + Sync>;

/// How a worker is.
#[derive(Clone, Debug)]
pub struct Config {
    /// The thread's name.
    pub name: String,
    /// Where its sockets are, all with one port number; with 0 it finds one that all addresses have free.
    pub addresses: Vec<SocketAddr>,
    /// Whether it takes ICE over TCP on that port too.
    pub tcp: bool,
    /// The processor that it stays on.
    pub pin: Option<usize>,
}

/// A running worker, as control has it.
pub struct Worker {
    mailbox: Arc<Mailbox>,
    addresses: Vec<SocketAddr>,
    counters: Arc<PlaneCounters>,
    network: Arc<NetworkCounters>,
    lent: Vec<Lent>,
    thread: Mutex<Option<JoinHandle<()>>>,
}

impl Worker {
    /// Bind the sockets and start the thread, which makes its machine itself; what that counts goes into the counters given.
    pub fn start<M: Machine>(
        config: Config,
        machine: impl FnOnce(Arc<PlaneCounters>) -> M + Send + 'static,
    ) -> io::Result<Worker> {
        let mailbox = Arc::new(Mailbox::new()?);
        let (counters, network) = (Arc::<PlaneCounters>::default(), Arc::<NetworkCounters>::default());
        let (sockets, listeners) = port::bind(&config.addresses, config.tcp)?;
        let sockets: Vec<_> = sockets.into_iter().map(Arc::new).collect();
        let listeners: Vec<_> = listeners.into_iter().map(Arc::new).collect();
        let addresses = sockets.iter().map(|socket| socket.local_addr()).collect::<io::Result<_>>()?;
        let poll = Poll::new()?;
        poll.add(mailbox.ordered(), ORDERS)?;
        for (local, socket) in sockets.iter().enumerate() {
            poll.add(socket, local as u64)?;
        }
        let patient = Patient::beside(&sockets, &poll)?;
        let lent = sockets.iter().chain(patient.sockets()).map(lent).chain(listeners.iter().map(lent)).collect();
        let listener = Listener::new(listeners, &poll, network.clone())?;
        let shared = Shared { mailbox: mailbox.clone(), counters: counters.clone(), network: network.clone() };
        let thread = thread::Builder::new().name(config.name).spawn(move || {
            let ran = catch_unwind(AssertUnwindSafe(|| {
                if let Some(processor) = config.pin {
                    let _ = system::pin(processor); // it runs as well where there is no such processor
                }
                let sockets = Sockets::new(sockets, shared.network.clone());
                let network = Network { sockets, patient, listener, poll, now: system::now() };
                Loop::new(machine(shared.counters.clone()), network, shared.clone()).run();
            }));
            shared.mailbox.end(ran.err().map(reason));
        })?;
        Ok(Worker { mailbox, addresses, counters, network, lent, thread: Mutex::new(Some(thread)) })
    }

    /// Give an order; never waits.
    pub fn order(&self, order: Order) {
        self.mailbox.order(order);
    }

    /// Take the events that happened since the last time.
    pub fn drain(&self) -> Vec<Event> {
        self.mailbox.drain()
    }

    /// The descriptor that is readable while there are events. It stays open until this is dropped.
    pub fn descriptor(&self) -> RawFd {
        self.mailbox.descriptor()
    }

    /// The port number of all sockets.
    pub fn port(&self) -> u16 {
        self.addresses.first().map_or(0, SocketAddr::port)
    }

    /// Where the sockets are, in the order of their numbers (`Tuple::local`).
    pub fn addresses(&self) -> &[SocketAddr] {
        &self.addresses
    }

    /// What the plane did.
    pub fn counters(&self) -> &PlaneCounters {
        &self.counters
    }

    /// What the sockets did.
    pub fn network(&self) -> &NetworkCounters {
        &self.network
    }

    /// Have the thread make a turn, so that its beat moves if it is not stuck.
    pub fn wake(&self) {
        self.mailbox.wake();
    }

    /// Turns that the thread made.
    pub fn beat(&self) -> u64 {
        self.mailbox.beat()
    }

    /// How long the thread's turn has lasted; None while it sleeps.
    pub fn busy_for(&self) -> Option<Micros> {
        self.mailbox.busy_for()
    }

    /// CPU time that the thread took, read about each second that it works.
    pub fn cpu(&self) -> Micros {
        self.mailbox.cpu.get()
    }

    /// End the thread after the orders given so far; the port is free then and no event is told after. Returns false if the thread's
    /// turn lasts longer than that: it is left behind without its sockets. Nobody waits for it again.
    pub fn close(&self, patience: Duration) -> bool {
        let Some(thread) = self.thread.lock().unwrap_or_else(PoisonError::into_inner).take() else {
            return self.mailbox.close(Duration::ZERO);
        };
        let lasted = Duration::from_micros(self.busy_for().unwrap_or_default());
        let ended = self.mailbox.close(patience.saturating_sub(lasted));
        if ended {
            let _ = thread.join(); // it cannot have panicked: that is caught
        } else {
            self.take_sockets();
        }
        self.mailbox.drain();
        ended
    }

    /// Close what the thread listens on, under the numbers that it has for it.
    fn take_sockets(&self) {
        for socket in self.lent.iter().filter_map(Weak::upgrade) {
            let _ = system::replace(socket.as_fd(), self.mailbox.ordered()); // both are open, so it cannot fail
        }
    }
}

impl Drop for Worker {
    fn drop(&mut self) {
        self.close(PATIENCE);
    }
}

fn lent<S: AsFd + Send + Sync + 'static>(socket: &Arc<S>) -> Lent {
    let socket: Arc<dyn AsFd + Send + Sync> = socket.clone();
    Arc::downgrade(&socket)
}

/// What a panic said.
fn reason(panic: Box<dyn Any + Send>) -> String {
    let text = panic.downcast_ref::<&str>().map(|text| (*text).to_owned());
    text.or_else(|| panic.downcast_ref::<String>().cloned()).unwrap_or_else(|| "a panic without words".to_owned())
}

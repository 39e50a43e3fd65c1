//! What a worker's thread runs between its sockets: the plane's core, or a test's stand-in.

use crate::Micros;
use crate::batch::Output;
use crate::core::Core;
use crate::ice::Tuple;
use crate::order::Order;

/// What a worker runs; `Core` is one.
pub trait Machine {
    /// Carry out an order.
    fn order(&mut self, order: Order, now: Micros, out: &mut Output);
    /// Take a datagram. What its bytes are afterwards is not defined.
    fn datagram(&mut self, data: &mut [u8], from: Tuple, now: Micros, out: &mut Output);
    /// When `due` must be called at the latest; `Micros::MAX` for never.
    fn next_due(&self) -> Micros;
    /// Whether `due` has something to do already, for a turn that something else brought.
    fn has_due(&self, now: Micros) -> bool {
        self.next_due() <= now
    }
    /// Do what is due.
    fn due(&mut self, now: Micros, out: &mut Output);
    /// Whether an authentic check came over this tuple.
    fn knows(&self, tuple: Tuple) -> bool;
    /// Learn that a TCP connection is closed.
    fn gone(&mut self, tuple: Tuple, now: Micros);
}

impl Machine for Core {
    fn order(&mut self, order: Order, now: Micros, out: &mut Output) {
        Core::order(self, order, now, out);
    }

    fn datagram(&mut self, data: &mut [u8], from: Tuple, now: Micros, out: &mut Output) {
        Core::datagram(self, data, from, now, out);
    }

    fn next_due(&self) -> Micros {
        Core::next_due(self)
    }

    fn has_due(&self, now: Micros) -> bool {
        Core::has_due(self, now)
    }

    fn due(&mut self, now: Micros, out: &mut Output) {
        Core::due(self, now, out);
    }

    fn knows(&self, tuple: Tuple) -> bool {
        Core::knows(self, tuple)
    }

    fn gone(&mut self, tuple: Tuple, now: Micros) {
        Core::gone(self, tuple, now);
    }
}

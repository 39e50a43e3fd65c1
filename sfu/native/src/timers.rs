//! When what is due: each transport's second, spread over it so that not all fall into one turn; feedback; repair; frames that wait.

use crate::Micros;
use crate::core::{ProducerKey, TransportKey};

/// A turn of the wheel, and how many a second has.
pub const TURN: Micros = 25_000;
const TURNS: usize = 40;
/// How long a second may be late: so long it waits for a turn that something else brings.
const SLACK: Micros = 50_000;
/// How often transport-wide feedback goes out: after so long with the next turn, after so much longer by a turn of its own.
pub const FEEDBACK: Micros = 75_000;
const FEEDBACK_SLACK: Micros = 25_000;
const NEVER: Micros = Micros::MAX;

/// The lists that time works off.
pub struct Timers {
    wheel: Vec<Vec<TransportKey>>,
    next_place: usize,
    count: usize,
    /// The turn that comes next, counted from the clock's zero.
    turn: Option<u64>,
    pub feedback: Vec<TransportKey>,
    pub feedback_at: Micros,
    pub repair: Vec<ProducerKey>,
    pub repair_at: Micros,
    pub flush: Vec<ProducerKey>,
    pub flush_at: Micros,
    pub rates_at: Micros,
    /// What was sent when the rates were settled last: packets, bytes.
    pub counted: (u64, u64),
}

impl Default for Timers {
    fn default() -> Self {
        Self {
            wheel: vec![Vec::new(); TURNS],
            next_place: 0,
            count: 0,
            turn: None,
            feedback: Vec::new(),
            feedback_at: NEVER,
            repair: Vec::new(),
            repair_at: NEVER,
            flush: Vec::new(),
            flush_at: NEVER,
            rates_at: 0,
            counted: (0, 0),
        }
    }
}

impl Timers {
    /// Let a transport have its second.
    pub fn add(&mut self, key: TransportKey) {
        self.wheel[self.next_place].push(key);
        self.next_place = (self.next_place + 7) % TURNS; // 7 and 40 have no common divisor: all places are met
        self.count += 1;
    }

    /// Forget a transport.
    pub fn remove(&mut self, key: TransportKey) {
        for place in &mut self.wheel {
            if let Some(at) = place.iter().position(|each| *each == key) {
                place.swap_remove(at);
                self.count -= 1;
                return;
            }
        }
    }

    /// The transports whose second is over, oldest turn first; each comes once a second, however late this is called.
    pub fn turned(&mut self, now: Micros) -> Vec<TransportKey> {
        let current = now / TURN;
        let from = self.turn.unwrap_or(current).max(current.saturating_sub(TURNS as u64 - 1));
        self.turn = Some(current + 1);
        (from..=current).flat_map(|turn| self.wheel[(turn % TURNS as u64) as usize].iter().copied()).collect()
    }

    /// When `Core::due` must be called at the latest. To wake up costs more than most of what is done then, so what can wait does.
    pub fn next(&self) -> Micros {
        let turn = self.next_turn().saturating_add(SLACK);
        turn.min(self.feedback_at.saturating_add(FEEDBACK_SLACK)).min(self.repair_at).min(self.flush_at)
    }

    /// Whether there is something to do for whoever is awake.
    pub fn any(&self, now: Micros) -> bool {
        now >= self.next_turn().min(self.feedback_at).min(self.repair_at).min(self.flush_at)
    }

    fn next_turn(&self) -> Micros {
        if self.count == 0 { NEVER } else { self.turn.unwrap_or(0).saturating_mul(TURN) }
    }
}

//! The native packet plane: bytes and the time in, bytes and events out, and around that one thread with its sockets.

#![deny(unsafe_code)]

pub mod batch;
pub mod connection;
pub mod core;
pub mod counters;
mod due;
pub mod extensions;
pub mod flood;
pub mod framing;
pub mod heading;
pub mod history;
pub mod ice;
pub mod inbound;
pub mod keyframe;
#[cfg(feature = "python")]
mod known;
pub mod listener;
pub mod machine;
pub mod mailbox;
mod media;
pub mod nack;
pub mod order;
#[cfg(feature = "python")]
mod orders_from_python;
pub mod outbound;
pub mod patient;
pub mod payload;
pub mod pool;
pub mod port;
pub mod probation;
#[cfg(feature = "python")]
mod python;
#[cfg(feature = "python")]
mod python_core;
pub mod rate;
pub mod reception;
pub mod remb;
pub mod repairs;
pub mod replay;
pub mod reports;
pub mod resend;
pub mod round_trip;
pub mod rtcp;
pub mod rtp;
pub mod score;
pub mod selector;
pub mod sequence;
pub mod socket;
pub mod srtp;
mod srtp_cm;
mod srtp_gcm;
mod srtp_keys;
mod srtp_streams;
#[cfg(feature = "python")]
mod stats_to_python;
mod streams;
pub mod stun;
pub mod system;
pub mod timers;
pub mod transport;
pub mod trendline;
mod turn;
pub mod twcc;
pub mod worker;

/// What is of one size lies side by side: between two frames the state of all receivers leaves the caches, and to fetch it from
/// pages all over the heap costs more.
#[cfg(feature = "mimalloc")]
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// Microseconds of a clock that only goes forward; what its zero is does not matter.
pub type Micros = u64;

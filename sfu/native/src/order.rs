//! The seat in Rust: what control orders and what the plane tells; `sfu/plane/seat.py` says what each means.

use std::sync::Arc;

use crate::counters::{StreamCounters, TransportCounters};
use crate::ice::{Credentials, Tuple};

/// The name control gave a transport, producer or consumer.
pub type Name = Arc<str>;

/// A payload type as the producer sends it, and what receivers know it as.
#[derive(Clone, Debug)]
pub struct Codec {
    pub mime_type: String,
    pub clock_rate: u32,
    pub payload_type: u8,
    pub mapped_payload_type: u8,
    pub rtx_payload_type: Option<u8>,
}

/// One stream that comes in. `extensions` are (URI, id).
#[derive(Clone, Debug)]
pub struct AddProducer {
    pub transport: Name,
    pub producer: Name,
    pub video: bool,
    pub codecs: Vec<Codec>,
    pub extensions: Vec<(String, u8)>,
    pub ssrc: Option<u32>,
    pub rtx_ssrc: Option<u32>,
    pub mid: Option<String>,
    pub rid: Option<String>,
    pub nack: bool,
    pub pli: bool,
    pub fir: bool,
    pub transport_cc: bool,
    pub remb: bool,
    pub paused: bool,
    pub counters: Arc<StreamCounters>,
}

/// One stream that goes out. `payload_types` are (mapped payload type, that of its RTX).
#[derive(Clone, Debug)]
pub struct AddConsumer {
    pub transport: Name,
    pub consumer: Name,
    pub producer: Name,
    pub ssrc: u32,
    pub rtx_ssrc: Option<u32>,
    pub payload_types: Vec<(u8, Option<u8>)>,
    pub extensions: Vec<(String, u8)>,
    pub mid: String,
    pub cname: String,
    pub first_sequence: u16,
    pub first_rtx_sequence: u16,
    pub paused: bool,
    pub counters: Arc<StreamCounters>,
}

/// What control wants done. An order about something unknown has no effect: control made sure that there is none.
#[derive(Debug)]
pub enum Order {
    OpenTransport {
        transport: Name,
        ice: Credentials,
        counters: Arc<TransportCounters>,
    },
    RestartIce {
        transport: Name,
        ice: Credentials,
    },
    CloseTransport {
        transport: Name,
    },
    SecureTransport {
        transport: Name,
        profile: String,
        receive_key: Secret,
        send_key: Secret,
    },
    SendDatagram {
        transport: Name,
        data: Vec<u8>,
    },
    AddProducer(Box<AddProducer>),
    PauseProducer {
        producer: Name,
    },
    ResumeProducer {
        producer: Name,
    },
    RemoveProducer {
        producer: Name,
    },
    AddConsumer(Box<AddConsumer>),
    PauseConsumer {
        consumer: Name,
    },
    ResumeConsumer {
        consumer: Name,
    },
    RemoveConsumer {
        consumer: Name,
    },
    RequestKeyFrame {
        producer: Name,
    },
    /// `extensions` are (URI, id).
    Probe {
        transport: Name,
        size: usize,
        extensions: Vec<(String, u8)>,
    },
    /// A test's: the plane's thread panics, or stands still for so many milliseconds.
    Panic,
    Stall {
        milliseconds: u64,
    },
}

/// A master key and salt; wiped when dropped, never printed.
#[derive(Clone)]
pub struct Secret(pub zeroize::Zeroizing<Vec<u8>>);

impl std::fmt::Debug for Secret {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        out.write_str("…")
    }
}

/// What happened, in the order in which it did.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Event {
    IceSelected { transport: Name, tuple: Tuple, nominated: bool },
    IceLost { transport: Name },
    DatagramReceived { transport: Name, data: Vec<u8> },
    StreamStarted { producer: Name },
    StreamSilent { producer: Name, goodbye: bool },
    Died { reason: String },
}

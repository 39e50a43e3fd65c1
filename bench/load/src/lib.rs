//! What loads the packet plane in benchmarks: browsers' side of ICE, DTLS, SRTP and RTCP, as cheap as it can be; and the bare loop.

#![deny(unsafe_code)]

pub mod latency;
pub mod publisher;
pub mod rtcp;
pub mod srtp;
pub mod steal;
pub mod stream;
pub mod stun;
pub mod system;
pub mod transport;
pub mod words;
pub mod world;

//! What the counters say, as dicts under the seat's names.

use pyo3::prelude::*;
use pyo3::types::{IntoPyDict, PyDict};

use crate::counters::{PlaneCounters, StreamCounters};
use crate::known::Known;

impl Known {
    /// Return `TransportStats` as a dict; raises KeyError.
    pub fn transport_stats<'py>(&self, py: Python<'py>, name: &str) -> PyResult<Bound<'py, PyDict>> {
        let counters = self.transports.get(name)?;
        [
            ("bytes_received", counters.bytes_received.get()),
            ("bytes_sent", counters.bytes_sent.get()),
            ("rtp_bytes_received", counters.rtp_bytes_received.get()),
            ("rtp_bytes_sent", counters.rtp_bytes_sent.get()),
            ("rtx_bytes_received", counters.rtx_bytes_received.get()),
            ("rtx_bytes_sent", counters.rtx_bytes_sent.get()),
            ("packets_discarded", counters.packets_discarded.get()),
        ]
        .into_py_dict(py)
    }

    /// Return `StreamStats` as a dict; raises KeyError.
    pub fn producer_stats<'py>(&self, py: Python<'py>, name: &str) -> PyResult<Bound<'py, PyDict>> {
        let (counters, mime_type) = self.producers.get(name)?;
        stream_stats(py, counters, mime_type)
    }

    /// Return `StreamStats` as a dict; raises KeyError.
    pub fn consumer_stats<'py>(&self, py: Python<'py>, name: &str) -> PyResult<Bound<'py, PyDict>> {
        let (counters, producer) = self.consumers.get(name)?;
        let mime_type = self.producers.get(producer).map_or("", |(_, mime_type)| mime_type);
        stream_stats(py, counters, mime_type)
    }
}

fn stream_stats<'py>(py: Python<'py>, counters: &StreamCounters, mime_type: &str) -> PyResult<Bound<'py, PyDict>> {
    let dict = [
        ("ssrc", counters.ssrc.get()),
        ("packet_count", counters.packets.get()),
        ("byte_count", counters.bytes.get()),
        ("bitrate", counters.bitrate.get()),
        ("packets_lost", counters.lost.get()),
        ("fraction_lost", counters.fraction_lost.get()),
        ("jitter", counters.jitter.get()),
        ("packets_discarded", counters.discarded.get()),
        ("packets_retransmitted", counters.retransmitted.get()),
        ("packets_repaired", counters.repaired.get()),
        ("nack_count", counters.nacks.get()),
        ("nack_packet_count", counters.nacked.get()),
        ("pli_count", counters.plis.get()),
        ("fir_count", counters.firs.get()),
        ("score", counters.score.get()),
    ]
    .into_py_dict(py)?;
    dict.set_item("rtx_ssrc", Some(counters.rtx_ssrc.get()).filter(|ssrc| *ssrc > 0))?;
    dict.set_item("mime_type", mime_type)?;
    dict.set_item("round_trip_time", counters.round_trip.get() as f64 / 1000.0)?;
    Ok(dict)
}

/// Return `PlaneStats` as a dict.
pub fn plane_stats<'py>(py: Python<'py>, counters: &PlaneCounters) -> PyResult<Bound<'py, PyDict>> {
    [
        ("packets_received", counters.packets_received.get()),
        ("packets_sent", counters.packets_sent.get()),
        ("bytes_received", counters.bytes_received.get()),
        ("bytes_sent", counters.bytes_sent.get()),
        ("packets_per_second", counters.packets_per_second.get()),
        ("bytes_sent_per_second", counters.bytes_sent_per_second.get()),
        ("discarded", counters.discarded.get()),
        ("failures", counters.failures.get()),
    ]
    .into_py_dict(py)
}

//! The seat's dataclasses, read by their class and field names into orders; and what the counters say, under the seat's names.

use std::collections::HashMap;
use std::sync::Arc;

use pyo3::exceptions::{PyKeyError, PyTypeError};
use pyo3::prelude::*;
use pyo3::types::PyDict;

use crate::counters::{PlaneCounters, StreamCounters, TransportCounters};
use crate::ice::Credentials;
use crate::order::{AddConsumer, AddProducer, Codec, Name, Order, Secret};

/// The counters of what control opened and has not removed.
#[derive(Default)]
pub struct Known {
    transports: HashMap<Name, Arc<TransportCounters>>,
    producers: HashMap<Name, (Arc<StreamCounters>, String)>,
    consumers: HashMap<Name, (Arc<StreamCounters>, Name)>,
}

#[derive(FromPyObject)]
struct PyCredentials {
    username_fragment: String,
    password: String,
}

#[derive(FromPyObject)]
struct PyCodec {
    mime_type: String,
    clock_rate: u32,
    payload_type: u8,
    mapped_payload_type: u8,
    rtx_payload_type: Option<u8>,
}

#[derive(FromPyObject)]
struct PyProducer {
    transport: String,
    producer: String,
    kind: String,
    codecs: Vec<PyCodec>,
    extensions: HashMap<String, u8>,
    ssrc: Option<u32>,
    rtx_ssrc: Option<u32>,
    mid: Option<String>,
    rid: Option<String>,
    nack: bool,
    pli: bool,
    fir: bool,
    transport_cc: bool,
    remb: bool,
    paused: bool,
}

#[derive(FromPyObject)]
struct PyConsumer {
    transport: String,
    consumer: String,
    producer: String,
    ssrc: u32,
    rtx_ssrc: Option<u32>,
    payload_types: Vec<(u8, Option<u8>)>,
    extensions: Vec<(String, u8)>,
    mid: String,
    cname: String,
    first_sequence: u16,
    first_rtx_sequence: u16,
    paused: bool,
}

fn name(order: &Bound<'_, PyAny>, field: &str) -> PyResult<Name> {
    Ok(order.getattr(field)?.extract::<String>()?.into())
}

fn credentials(order: &Bound<'_, PyAny>) -> PyResult<Credentials> {
    let ice: PyCredentials = order.getattr("ice")?.extract()?;
    Ok(Credentials { fragment: ice.username_fragment, password: ice.password })
}

fn secret(order: &Bound<'_, PyAny>, field: &str) -> PyResult<Secret> {
    Ok(Secret(order.getattr(field)?.extract::<Vec<u8>>()?.into()))
}

/// Read one of the seat's orders. Errors: TypeError for what is none, KeyError for an object that was not opened.
pub fn read(order: &Bound<'_, PyAny>, known: &mut Known) -> PyResult<Order> {
    let class = order.get_type().name()?;
    Ok(match class.to_str()? {
        "OpenTransport" => {
            let (transport, counters) = (name(order, "transport")?, Arc::<TransportCounters>::default());
            known.transports.insert(transport.clone(), counters.clone());
            Order::OpenTransport { transport, ice: credentials(order)?, counters }
        }
        "RestartIce" => {
            Order::RestartIce { transport: known.transport(name(order, "transport")?)?, ice: credentials(order)? }
        }
        "CloseTransport" => {
            let transport = known.transport(name(order, "transport")?)?;
            known.transports.remove(&transport);
            Order::CloseTransport { transport }
        }
        "SecureTransport" => Order::SecureTransport {
            transport: known.transport(name(order, "transport")?)?,
            profile: order.getattr("profile")?.extract()?,
            receive_key: secret(order, "receive_key")?,
            send_key: secret(order, "send_key")?,
        },
        "SendDatagram" => Order::SendDatagram {
            transport: known.transport(name(order, "transport")?)?,
            data: order.getattr("data")?.extract()?,
        },
        "AddProducer" => Order::AddProducer(Box::new(producer(order, known)?)),
        "PauseProducer" => Order::PauseProducer { producer: known.producer(name(order, "producer")?)? },
        "ResumeProducer" => Order::ResumeProducer { producer: known.producer(name(order, "producer")?)? },
        "Probe" => Order::Probe {
            transport: known.transport(name(order, "transport")?)?,
            size: order.getattr("size")?.extract()?,
            extensions: items(order, "extensions")?,
        },
        "RequestKeyFrame" => Order::RequestKeyFrame { producer: known.producer(name(order, "producer")?)? },
        "RemoveProducer" => {
            let producer = known.producer(name(order, "producer")?)?;
            known.producers.remove(&producer);
            Order::RemoveProducer { producer }
        }
        "AddConsumer" => Order::AddConsumer(Box::new(consumer(order, known)?)),
        "PauseConsumer" => Order::PauseConsumer { consumer: known.consumer(name(order, "consumer")?)? },
        "ResumeConsumer" => Order::ResumeConsumer { consumer: known.consumer(name(order, "consumer")?)? },
        "RemoveConsumer" => {
            let consumer = known.consumer(name(order, "consumer")?)?;
            known.consumers.remove(&consumer);
            Order::RemoveConsumer { consumer }
        }
        other => return Err(PyTypeError::new_err(format!("{other} is no order of the packet plane's seat"))),
    })
}

fn producer(order: &Bound<'_, PyAny>, known: &mut Known) -> PyResult<AddProducer> {
    let given: PyProducer = order.extract()?;
    let codecs: Vec<Codec> = given
        .codecs
        .into_iter()
        .map(|each| Codec {
            mime_type: each.mime_type,
            clock_rate: each.clock_rate,
            payload_type: each.payload_type,
            mapped_payload_type: each.mapped_payload_type,
            rtx_payload_type: each.rtx_payload_type,
        })
        .collect();
    let (transport, producer, counters) =
        (known.transport(given.transport.into())?, Name::from(given.producer), Arc::<StreamCounters>::default());
    counters.ssrc.set(given.ssrc.unwrap_or_default().into());
    counters.rtx_ssrc.set(given.rtx_ssrc.unwrap_or_default().into());
    let mime_type = codecs.first().map(|codec| codec.mime_type.clone()).unwrap_or_default();
    known.producers.insert(producer.clone(), (counters.clone(), mime_type));
    Ok(AddProducer {
        transport,
        producer,
        video: given.kind == "video",
        codecs,
        extensions: given.extensions.into_iter().collect(),
        ssrc: given.ssrc,
        rtx_ssrc: given.rtx_ssrc,
        mid: given.mid,
        rid: given.rid,
        nack: given.nack,
        pli: given.pli,
        fir: given.fir,
        transport_cc: given.transport_cc,
        remb: given.remb,
        paused: given.paused,
        counters,
    })
}

fn consumer(order: &Bound<'_, PyAny>, known: &mut Known) -> PyResult<AddConsumer> {
    let given: PyConsumer = PyConsumer {
        transport: order.getattr("transport")?.extract()?,
        consumer: order.getattr("consumer")?.extract()?,
        producer: order.getattr("producer")?.extract()?,
        ssrc: order.getattr("ssrc")?.extract()?,
        rtx_ssrc: order.getattr("rtx_ssrc")?.extract()?,
        payload_types: items(order, "payload_types")?,
        extensions: items(order, "extensions")?,
        mid: order.getattr("mid")?.extract()?,
        cname: order.getattr("cname")?.extract()?,
        first_sequence: order.getattr("first_sequence")?.extract()?,
        first_rtx_sequence: order.getattr("first_rtx_sequence")?.extract()?,
        paused: order.getattr("paused")?.extract()?,
    };
    let (transport, consumer, counters) =
        (known.transport(given.transport.into())?, Name::from(given.consumer), Arc::<StreamCounters>::default());
    let producer = known.producer(given.producer.into())?;
    counters.ssrc.set(given.ssrc.into());
    counters.rtx_ssrc.set(given.rtx_ssrc.unwrap_or_default().into());
    known.consumers.insert(consumer.clone(), (counters.clone(), producer.clone()));
    Ok(AddConsumer {
        transport,
        consumer,
        producer,
        ssrc: given.ssrc,
        rtx_ssrc: given.rtx_ssrc,
        payload_types: given.payload_types,
        extensions: given.extensions,
        mid: given.mid,
        cname: given.cname,
        first_sequence: given.first_sequence,
        first_rtx_sequence: given.first_rtx_sequence,
        paused: given.paused,
        counters,
    })
}

/// The items of a mapping, in its own order.
fn items<'py, T: for<'a> FromPyObject<'a, 'py>>(order: &Bound<'py, PyAny>, field: &str) -> PyResult<Vec<T>> {
    order.getattr(field)?.call_method0("items")?.try_iter()?.map(|item| item?.extract().map_err(Into::into)).collect()
}

impl Known {
    fn transport(&self, name: Name) -> PyResult<Name> {
        if self.transports.contains_key(&name) { Ok(name) } else { Err(PyKeyError::new_err(name.to_string())) }
    }

    fn producer(&self, name: Name) -> PyResult<Name> {
        if self.producers.contains_key(&name) { Ok(name) } else { Err(PyKeyError::new_err(name.to_string())) }
    }

    fn consumer(&self, name: Name) -> PyResult<Name> {
        if self.consumers.contains_key(&name) { Ok(name) } else { Err(PyKeyError::new_err(name.to_string())) }
    }

    /// Return `TransportStats` as a dict; raises KeyError.
    pub fn transport_stats<'py>(&self, py: Python<'py>, name: &str) -> PyResult<Bound<'py, PyDict>> {
        let counters = self.transports.get(name).ok_or_else(|| PyKeyError::new_err(name.to_owned()))?;
        let dict = PyDict::new(py);
        dict.set_item("bytes_received", counters.bytes_received.get())?;
        dict.set_item("bytes_sent", counters.bytes_sent.get())?;
        dict.set_item("rtp_bytes_received", counters.rtp_bytes_received.get())?;
        dict.set_item("rtp_bytes_sent", counters.rtp_bytes_sent.get())?;
        dict.set_item("rtx_bytes_received", counters.rtx_bytes_received.get())?;
        dict.set_item("rtx_bytes_sent", counters.rtx_bytes_sent.get())?;
        dict.set_item("packets_discarded", counters.packets_discarded.get())?;
        Ok(dict)
    }

    /// Return `StreamStats` as a dict; raises KeyError.
    pub fn producer_stats<'py>(&self, py: Python<'py>, name: &str) -> PyResult<Bound<'py, PyDict>> {
        let (counters, mime_type) = self.producers.get(name).ok_or_else(|| PyKeyError::new_err(name.to_owned()))?;
        stream_stats(py, counters, mime_type)
    }

    /// Return `StreamStats` as a dict; raises KeyError.
    pub fn consumer_stats<'py>(&self, py: Python<'py>, name: &str) -> PyResult<Bound<'py, PyDict>> {
        let (counters, producer) = self.consumers.get(name).ok_or_else(|| PyKeyError::new_err(name.to_owned()))?;
        let mime_type = self.producers.get(producer).map_or("", |(_, mime_type)| mime_type);
        stream_stats(py, counters, mime_type)
    }
}

fn stream_stats<'py>(py: Python<'py>, counters: &StreamCounters, mime_type: &str) -> PyResult<Bound<'py, PyDict>> {
    let dict = PyDict::new(py);
    dict.set_item("ssrc", counters.ssrc.get())?;
    dict.set_item("rtx_ssrc", Some(counters.rtx_ssrc.get()).filter(|ssrc| *ssrc > 0))?;
    dict.set_item("mime_type", mime_type)?;
    dict.set_item("packet_count", counters.packets.get())?;
    dict.set_item("byte_count", counters.bytes.get())?;
    dict.set_item("bitrate", counters.bitrate.get())?;
    dict.set_item("packets_lost", counters.lost.get())?;
    dict.set_item("fraction_lost", counters.fraction_lost.get())?;
    dict.set_item("jitter", counters.jitter.get())?;
    dict.set_item("packets_discarded", counters.discarded.get())?;
    dict.set_item("packets_retransmitted", counters.retransmitted.get())?;
    dict.set_item("packets_repaired", counters.repaired.get())?;
    dict.set_item("nack_count", counters.nacks.get())?;
    dict.set_item("nack_packet_count", counters.nacked.get())?;
    dict.set_item("pli_count", counters.plis.get())?;
    dict.set_item("fir_count", counters.firs.get())?;
    dict.set_item("round_trip_time", counters.round_trip.get() as f64 / 1000.0)?;
    dict.set_item("score", counters.score.get())?;
    Ok(dict)
}

/// Return `PlaneStats` as a dict.
pub fn plane_stats<'py>(py: Python<'py>, counters: &PlaneCounters) -> PyResult<Bound<'py, PyDict>> {
    let dict = PyDict::new(py);
    dict.set_item("packets_received", counters.packets_received.get())?;
    dict.set_item("packets_sent", counters.packets_sent.get())?;
    dict.set_item("bytes_received", counters.bytes_received.get())?;
    dict.set_item("bytes_sent", counters.bytes_sent.get())?;
    dict.set_item("packets_per_second", counters.packets_per_second.get())?;
    dict.set_item("bytes_sent_per_second", counters.bytes_sent_per_second.get())?;
    dict.set_item("discarded", counters.discarded.get())?;
    dict.set_item("failures", counters.failures.get())?;
    Ok(dict)
}

//! The seat's dataclasses, read by their class and field names into orders.

use std::collections::HashMap;
use std::sync::Arc;

use pyo3::exceptions::PyTypeError;
use pyo3::prelude::*;

use crate::counters::TransportCounters;
use crate::ice::Credentials;
use crate::known::{Known, stream_counters};
use crate::order::{AddConsumer, AddProducer, Codec, Name, Order, Secret};

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
            known.transports.add(&transport, counters.clone());
            Order::OpenTransport { transport, ice: credentials(order)?, counters }
        }
        "RestartIce" => {
            Order::RestartIce { transport: known.transport(name(order, "transport")?)?, ice: credentials(order)? }
        }
        "CloseTransport" => Order::CloseTransport { transport: known.transports.remove(name(order, "transport")?)? },
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
        "RemoveProducer" => Order::RemoveProducer { producer: known.producers.remove(name(order, "producer")?)? },
        "AddConsumer" => Order::AddConsumer(Box::new(consumer(order, known)?)),
        "PauseConsumer" => Order::PauseConsumer { consumer: known.consumer(name(order, "consumer")?)? },
        "ResumeConsumer" => Order::ResumeConsumer { consumer: known.consumer(name(order, "consumer")?)? },
        "RemoveConsumer" => Order::RemoveConsumer { consumer: known.consumers.remove(name(order, "consumer")?)? },
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
    let (transport, producer) = (known.transport(given.transport.into())?, Name::from(given.producer));
    let counters = stream_counters(given.ssrc, given.rtx_ssrc);
    let mime_type = codecs.first().map(|codec| codec.mime_type.clone()).unwrap_or_default();
    known.producers.add(&producer, (counters.clone(), mime_type));
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
    let (transport, consumer) = (known.transport(given.transport.into())?, Name::from(given.consumer));
    let producer = known.producer(given.producer.into())?;
    let counters = stream_counters(Some(given.ssrc), given.rtx_ssrc);
    known.consumers.add(&consumer, (counters.clone(), producer.clone()));
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

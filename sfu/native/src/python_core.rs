//! The plane's core as Python's tests see it: no thread, no sockets, no clock.

use std::net::{IpAddr, SocketAddr};

use pyo3::exceptions::PyValueError;
use pyo3::prelude::*;
use pyo3::types::{PyBytes, PyDict, PyList};

use crate::Micros;
use crate::batch::{Batch, Output, Sink};
use crate::ice::Tuple;
use crate::known::Known;
use crate::order::Event;
use crate::orders_from_python::read;
use crate::stats_to_python::plane_stats;
use crate::{core, listener};

/// A packet plane without a thread, sockets or a clock: for tests.
#[pyclass]
pub struct Core {
    core: core::Core,
    batch: Batch,
    sent: Kept,
    events: Vec<Event>,
    known: Known,
}

/// Where a core without sockets sends to.
#[derive(Default)]
struct Kept(Vec<(Tuple, Vec<u8>)>);

impl Sink for Kept {
    fn send(&mut self, batch: &Batch) {
        self.0.extend(batch.datagrams().map(|(to, data)| (to, data.to_vec())));
    }
}

pub fn micros(seconds: f64) -> Micros {
    (seconds * 1e6).round() as Micros
}

pub fn config(consent_timeout: f64, frame_wait: Micros) -> core::Config {
    let seed = std::hash::BuildHasher::hash_one(&std::collections::hash_map::RandomState::new(), 0);
    core::Config { consent_timeout: micros(consent_timeout), frame_wait, seed }
}

pub fn tuples<'py>(py: Python<'py>, events: Vec<Event>) -> PyResult<Bound<'py, PyList>> {
    let list = PyList::empty(py);
    for event in events {
        match event {
            Event::IceSelected { transport, tuple, nominated } => {
                let protocol = if tuple.local >= listener::FIRST { "tcp" } else { "udp" };
                let address = (tuple.remote.ip().to_string(), tuple.remote.port());
                list.append(("ice_selected", &*transport, address, protocol, nominated))?;
            }
            Event::IceLost { transport } => list.append(("ice_lost", &*transport))?,
            Event::DatagramReceived { transport, data } => {
                list.append(("datagram", &*transport, PyBytes::new(py, &data)))?;
            }
            Event::StreamStarted { producer } => list.append(("started", &*producer))?,
            Event::StreamSilent { producer, goodbye } => list.append(("silent", &*producer, goodbye))?,
            Event::Died { reason } => list.append(("died", reason))?,
        }
    }
    Ok(list)
}

pub fn address((ip, port): (String, u16)) -> PyResult<SocketAddr> {
    let ip: IpAddr = ip.parse().map_err(|_| PyValueError::new_err(format!("{ip} is not an IP address")))?;
    Ok(SocketAddr::new(ip, port))
}

impl Core {
    fn step<T>(&mut self, step: impl FnOnce(&mut core::Core, &mut Output) -> T) -> T {
        let counters = self.core.counters.clone();
        let mut out =
            Output { batch: &mut self.batch, events: &mut self.events, sink: &mut self.sent, counters: &counters };
        let result = step(&mut self.core, &mut out);
        out.flush();
        result
    }
}

#[pymethods]
impl Core {
    #[new]
    #[pyo3(signature = (consent_timeout, frame_wait_us=0))]
    fn new(consent_timeout: f64, frame_wait_us: Micros) -> Self {
        let core = core::Core::new(config(consent_timeout, frame_wait_us));
        Self { core, batch: Batch::default(), sent: Kept::default(), events: Vec::new(), known: Known::default() }
    }

    fn order(&mut self, order: &Bound<'_, PyAny>, now: f64) -> PyResult<()> {
        let order = read(order, &mut self.known)?;
        self.step(|core, out| core.order(order, micros(now), out));
        Ok(())
    }

    fn datagram(&mut self, data: &[u8], from: (String, u16), now: f64) -> PyResult<()> {
        let (mut data, from) = (data.to_vec(), Tuple { local: 0, remote: address(from)? });
        self.step(|core, out| core.datagram(&mut data, from, micros(now), out));
        Ok(())
    }

    fn due(&mut self, now: f64) {
        self.step(|core, out| core.due(micros(now), out));
    }

    /// When `due` must be called at the latest, in seconds; None: never.
    fn next_due(&self) -> Option<f64> {
        Some(self.core.next_due()).filter(|at| *at < Micros::MAX).map(|at| at as f64 / 1e6)
    }

    /// Return what was sent since the last call: (datagram, (ip, port)), in order.
    fn sent<'py>(&mut self, py: Python<'py>) -> PyResult<Bound<'py, PyList>> {
        let list = PyList::empty(py);
        for (to, data) in std::mem::take(&mut self.sent.0) {
            list.append((PyBytes::new(py, &data), (to.remote.ip().to_string(), to.remote.port())))?;
        }
        Ok(list)
    }

    fn drain<'py>(&mut self, py: Python<'py>) -> PyResult<Bound<'py, PyList>> {
        tuples(py, std::mem::take(&mut self.events))
    }

    fn transport_stats<'py>(&self, py: Python<'py>, name: &str) -> PyResult<Bound<'py, PyDict>> {
        self.known.transport_stats(py, name)
    }

    fn producer_stats<'py>(&self, py: Python<'py>, name: &str) -> PyResult<Bound<'py, PyDict>> {
        self.known.producer_stats(py, name)
    }

    fn consumer_stats<'py>(&self, py: Python<'py>, name: &str) -> PyResult<Bound<'py, PyDict>> {
        self.known.consumer_stats(py, name)
    }

    fn stats<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyDict>> {
        plane_stats(py, &self.core.counters)
    }
}

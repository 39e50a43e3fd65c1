//! The plane as Python sees it: the seat's orders are read as they are, events come as tuples, counters as dicts.

use std::sync::{Mutex, MutexGuard, PoisonError};

use pyo3::exceptions::PyOSError;
use pyo3::prelude::*;
use pyo3::types::{PyDict, PyList};

use crate::Micros;
use crate::core;
use crate::known::Known;
use crate::order::Order;
use crate::orders_from_python::read;
use crate::python_core::{Core, address, config, tuples};
use crate::stats_to_python::plane_stats;
use crate::worker::{self, Worker};

/// A packet plane on a thread of its own.
#[pyclass(frozen)]
struct Plane {
    worker: Worker,
    known: Mutex<Known>,
}

impl Plane {
    fn known(&self) -> MutexGuard<'_, Known> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[pymethods]
impl Plane {
    /// Listen on these (ip, port), UDP and TCP; port 0 takes any that is free on all, the same for all. Raises OSError.
    #[new]
    #[pyo3(signature = (addresses, consent_timeout, pin=None, name="plane", frame_wait_us=4000))]
    fn new(
        addresses: Vec<(String, u16)>,
        consent_timeout: f64,
        pin: Option<usize>,
        name: &str,
        frame_wait_us: Micros,
    ) -> PyResult<Self> {
        let addresses = addresses.into_iter().map(address).collect::<PyResult<_>>()?;
        let core = config(consent_timeout, frame_wait_us);
        let config = worker::Config { name: name.to_owned(), addresses, tcp: true, pin };
        let started = Worker::start(config, |counters| core::Core::with_counters(core, counters));
        let worker = started.map_err(|error| match error.raw_os_error() {
            Some(number) => PyOSError::new_err((number, error.to_string())),
            None => PyOSError::new_err(error.to_string()),
        })?;
        Ok(Self { worker, known: Mutex::default() })
    }

    /// Carry out one of the seat's orders, soon. Raises TypeError (no order), KeyError (about something that was not opened).
    fn order(&self, order: &Bound<'_, PyAny>) -> PyResult<()> {
        let order = read(order, &mut self.known())?;
        self.worker.order(order);
        Ok(())
    }

    /// Return what happened since the last call, oldest first.
    fn drain<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyList>> {
        tuples(py, self.worker.drain())
    }

    /// The descriptor that can be read while there is something to drain.
    #[getter]
    fn descriptor(&self) -> i32 {
        self.worker.descriptor()
    }

    /// The port number of all sockets.
    #[getter]
    fn port(&self) -> u16 {
        self.worker.port()
    }

    /// Turns that the plane's loop has made: one that is not stuck makes one after `wake`.
    fn beat(&self) -> u64 {
        self.worker.beat()
    }

    /// Have the loop make a turn.
    fn wake(&self) {
        self.worker.wake();
    }

    /// Seconds of processor time that the thread used.
    fn cpu_seconds(&self) -> f64 {
        self.worker.cpu() as f64 / 1e6
    }

    fn transport_stats<'py>(&self, py: Python<'py>, name: &str) -> PyResult<Bound<'py, PyDict>> {
        self.known().transport_stats(py, name)
    }

    fn producer_stats<'py>(&self, py: Python<'py>, name: &str) -> PyResult<Bound<'py, PyDict>> {
        self.known().producer_stats(py, name)
    }

    fn consumer_stats<'py>(&self, py: Python<'py>, name: &str) -> PyResult<Bound<'py, PyDict>> {
        self.known().consumer_stats(py, name)
    }

    fn stats<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyDict>> {
        plane_stats(py, self.worker.counters())
    }

    /// Close the sockets and end the thread; no event comes after. Returns false if the thread stands still: it was left behind.
    fn close(&self, py: Python<'_>) -> bool {
        py.detach(|| self.worker.close(worker::PATIENCE))
    }

    /// Let the thread panic: for tests of what happens then.
    fn panic(&self) {
        self.worker.order(Order::Panic);
    }

    /// Let the thread stand still: for tests of what happens then.
    fn stall(&self, milliseconds: u64) {
        self.worker.order(Order::Stall { milliseconds });
    }
}

#[pymodule]
fn packet_plane(module: &Bound<'_, PyModule>) -> PyResult<()> {
    module.add_class::<Plane>()?;
    module.add_class::<Core>()
}

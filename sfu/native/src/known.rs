//! What control opened and has not removed, by the names it gave, with the counters of each.

use std::collections::HashMap;
use std::sync::Arc;

use pyo3::exceptions::PyKeyError;
use pyo3::prelude::*;

use crate::counters::{StreamCounters, TransportCounters};
use crate::order::Name;

/// Objects of one kind. A name that is not among them is a KeyError.
pub struct Named<T>(HashMap<Name, T>);

impl<T> Default for Named<T> {
    fn default() -> Self {
        Self(HashMap::new())
    }
}

impl<T> Named<T> {
    /// Remember an object.
    pub fn add(&mut self, name: &Name, object: T) {
        self.0.insert(name.clone(), object);
    }

    /// Return the object of this name.
    pub fn get(&self, name: &str) -> PyResult<&T> {
        self.0.get(name).ok_or_else(|| PyKeyError::new_err(name.to_owned()))
    }

    /// Return the name if it is known.
    fn known(&self, name: Name) -> PyResult<Name> {
        self.get(&name)?;
        Ok(name)
    }

    /// Forget the object; return its name.
    pub fn remove(&mut self, name: Name) -> PyResult<Name> {
        self.known(name).inspect(|name| drop(self.0.remove(name)))
    }
}

/// Everything control opened: producers with their MIME type, consumers with their producer.
#[derive(Default)]
pub struct Known {
    pub transports: Named<Arc<TransportCounters>>,
    pub producers: Named<(Arc<StreamCounters>, String)>,
    pub consumers: Named<(Arc<StreamCounters>, Name)>,
}

impl Known {
    /// Return the name of a transport if it is open.
    pub fn transport(&self, name: Name) -> PyResult<Name> {
        self.transports.known(name)
    }

    /// Return the name of a producer if there is one.
    pub fn producer(&self, name: Name) -> PyResult<Name> {
        self.producers.known(name)
    }

    /// Return the name of a consumer if there is one.
    pub fn consumer(&self, name: Name) -> PyResult<Name> {
        self.consumers.known(name)
    }
}

/// Counters of a stream that is known by these SSRCs; 0 stands for one that is not known yet.
pub fn stream_counters(ssrc: Option<u32>, rtx_ssrc: Option<u32>) -> Arc<StreamCounters> {
    let counters = Arc::<StreamCounters>::default();
    counters.ssrc.set(ssrc.unwrap_or_default().into());
    counters.rtx_ssrc.set(rtx_ssrc.unwrap_or_default().into());
    counters
}

//! One-way times: every sample is kept until it is asked for.

/// Samples in microseconds.
#[derive(Default)]
pub struct Latency(Vec<u32>);

impl Latency {
    /// Take note of one; both moments in nanoseconds.
    pub fn add(&mut self, sent: u64, came: u64) {
        self.0
            .push((came.saturating_sub(sent) / 1000).min(u64::from(u32::MAX)) as u32);
    }

    /// Write count, percentiles and maximum as a JSON object, and forget the samples.
    pub fn take(&mut self) -> String {
        self.0.sort_unstable();
        let at = |share: f64| {
            let place = (self.0.len() as f64 * share).ceil() as usize;
            self.0.get(place.saturating_sub(1)).copied().unwrap_or(0)
        };
        let last = self.0.last().copied().unwrap_or(0);
        let text = format!(
            r#"{{"samples":{},"p50":{},"p99":{},"p999":{},"max":{last}}}"#,
            self.0.len(),
            at(0.5),
            at(0.99),
            at(0.999)
        );
        self.0.clear();
        text
    }

    /// Forget the samples.
    pub fn clear(&mut self) {
        self.0.clear();
    }
}

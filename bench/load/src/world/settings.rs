//! What can be set while the load runs, and the dice that lose packets.

/// What can be set while it runs. `loss` and `uplink` are shares of what is received and sent; `sample`: one of so many is opened.
pub struct Settings {
    pub loss: f64,
    pub uplink: f64,
    pub sample: u64,
    pub keepalive: f64,
    pub pli: bool,
    pub feedback: bool,
    pub reports: bool,
    pub merge: bool,
    pub stamp: bool,
    chance: u64,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            loss: 0.0,
            uplink: 0.0,
            sample: 64,
            keepalive: 2.5,
            pli: false,
            feedback: false,
            reports: true,
            merge: true,
            stamp: false,
            chance: 0x9E37_79B9_7F4A_7C15,
        }
    }
}

impl Settings {
    fn draw(&mut self) -> f64 {
        self.chance ^= self.chance << 13;
        self.chance ^= self.chance >> 7;
        self.chance ^= self.chance << 17;
        (self.chance >> 11) as f64 / (1u64 << 53) as f64
    }

    /// Whether the network loses what was just received.
    pub fn loses(&mut self) -> bool {
        self.loss > 0.0 && self.draw() < self.loss
    }

    /// Whether it loses what is just being sent.
    pub fn loses_upwards(&mut self) -> bool {
        self.uplink > 0.0 && self.draw() < self.uplink
    }
}

//! What is counted between a reset and a report, and the report: one JSON object.

use super::{World, say};
use crate::steal::stolen;
use crate::stream::Counted;
use crate::system::{cpu, now};

/// What was counted since the last reset.
#[derive(Default)]
pub struct Counters {
    pub packets: u64,
    pub bytes: u64,
    pub unknown: u64,
    pub dropped: u64,
    pub dropped_rtx: u64,
    pub rtx: u64,
    pub verified: u64,
    pub forged: u64,
    pub foreign: u64,
    pub reports: u64,
    pub nacks: u64,
    pub nacked: u64,
    pub key_frame_requests: u64,
    pub feedbacks: u64,
    pub other: u64,
    pub reads: u64,
    pub latest: u64,
}

impl World {
    pub(super) fn reset(&mut self) {
        self.counters = Counters::default();
        self.latency.clear();
        self.delay.clear();
        for transport in self.transports.iter_mut().flatten() {
            for stream in &mut transport.streams {
                stream.take();
            }
            for publisher in &mut transport.publishers {
                (publisher.counted, publisher.key_frames, publisher.resent) = (0, 0, 0);
            }
        }
        self.began = (cpu().nanoseconds, stolen(), now());
    }

    pub(super) fn report(&mut self) {
        let mut total = Counted::default();
        let (mut sent, mut key_frames, mut resent, mut silent, mut pending) = (0, 0, 0, 0, 0);
        for transport in self.transports.iter().flatten() {
            for stream in &transport.streams {
                let counted = stream.counted();
                total.expected += counted.expected;
                total.unique += counted.unique;
                total.late += counted.late;
                total.duplicates += counted.duplicates;
                total.repaired += counted.repaired;
                silent += u64::from(counted.unique == 0);
                pending += stream.pending();
            }
            for publisher in &transport.publishers {
                sent += publisher.counted;
                key_frames += publisher.key_frames;
                resent += publisher.resent;
            }
        }
        let elapsed = now() - self.began.2;
        let counters = &self.counters;
        say(&format!(
            concat!(
                r#"{{"event":"report","seconds":{:.6},"cpu":{:.6},"stolen_ms":{},"sent":{},"key_frames":{},"resent":{},"#,
                r#""packets":{},"bytes":{},"expected":{},"unique":{},"late":{},"duplicates":{},"repaired":{},"pending":{},"silent":{},"#,
                r#""unknown":{},"dropped":{},"dropped_rtx":{},"rtx":{},"verified":{},"forged":{},"foreign":{},"#,
                r#""reports":{},"nacks":{},"nacked":{},"key_frame_requests":{},"feedbacks":{},"other":{},"reads":{},"#,
                r#""late_frame_us":{},"latency":{},"read_delay":{}}}"#
            ),
            elapsed as f64 / 1e9,
            (cpu().nanoseconds - self.began.0) as f64 / 1e9,
            stolen() - self.began.1,
            sent,
            key_frames,
            resent,
            counters.packets,
            counters.bytes,
            total.expected,
            total.unique,
            total.late,
            total.duplicates,
            total.repaired,
            pending,
            silent,
            counters.unknown,
            counters.dropped,
            counters.dropped_rtx,
            counters.rtx,
            counters.verified,
            counters.forged,
            counters.foreign,
            counters.reports,
            counters.nacks,
            counters.nacked,
            counters.key_frame_requests,
            counters.feedbacks,
            counters.other,
            counters.reads,
            counters.latest / 1000,
            self.latency.take(),
            self.delay.take(),
        ));
    }
}

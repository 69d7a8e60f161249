//! What retention lets go of: by time, by size, by log start. Whole segments only, the active one
//! never by size.

use crate::journal::entry::Entry;
use crate::log::Log;
use crate::log::state::SegmentState;
use crate::segment::SegmentName;
use crate::store::Inner;

impl Log {
    /// Closes the active segment if it is old, raises the log start as retention says, and returns
    /// the segments that are now below it.
    pub(crate) fn retain(&self, store: &Inner, now_ms: i64) -> Vec<SegmentName> {
        let config = self.0.config.borrow().clone();
        let old = {
            let state = self.0.state.borrow();
            state.active().is_some_and(|active| {
                let aged = now_ms - active.created_ms > self.segment_age_max(&config);
                let expired = config.retention_ms >= 0
                    && active.max_timestamp >= 0
                    && now_ms.saturating_sub(active.max_timestamp) > config.retention_ms;
                active.length > 0 && (aged || expired)
            })
        };
        if old {
            let end = self.0.state.borrow().end;
            self.roll(store, end, now_ms);
        }
        let start = {
            let state = self.0.state.borrow();
            let mut size = state.size_bytes();
            let mut start = state.log_start;
            let sealed = state.segments.len().saturating_sub(1);
            for segment in state.segments.iter().take(sealed) {
                let durable = segment.end <= self.0.durable.get();
                // Without timestamps the segment's own age counts.
                let newest = if segment.max_timestamp >= 0 {
                    segment.max_timestamp
                } else {
                    segment.created_ms
                };
                let by_time =
                    config.retention_ms >= 0 && now_ms.saturating_sub(newest) > config.retention_ms;
                let left = size - u64::from(segment.length);
                let by_size = u64::try_from(config.retention_bytes).is_ok_and(|most| left >= most);
                if !durable || !(by_time || by_size || segment.end <= state.log_start) {
                    break;
                }
                size = left;
                start = start.max(segment.end);
            }
            start
        };
        let rose = self.0.state.borrow_mut().trim(start);
        if rose {
            store.say(self, &Entry::LogStart { log: self.id(), to: start });
        }
        let state = self.0.state.borrow();
        let sealed = state.segments.len().saturating_sub(1);
        let below = state.segments.iter().take(sealed).take_while(|it| it.end <= state.log_start);
        below.map(SegmentState::name).collect()
    }

    /// Forgets a segment whose file goes away.
    pub(crate) fn drop_segment(&self, store: &Inner, base: i64) {
        self.0.state.borrow_mut().segments.retain(|it| it.base != base);
        self.forget_segment(store, base);
    }

    /// Forgets what is in memory of a segment, and its open files.
    pub(crate) fn forget_segment(&self, store: &Inner, base: i64) {
        let mut freed = 0;
        let mut held = 0;
        self.0.parts.borrow_mut().retain(|part| {
            if part.base == base {
                freed += part.unflushed();
                held += part.held_bytes();
            }
            part.base != base
        });
        store.sub_unflushed(freed);
        store.cached.set(store.cached.get().saturating_sub(held as u64));
        store.files.forget(self.id(), base);
    }

    /// Forgets producers that were silent for too long.
    pub(crate) fn expire_producers(&self, store: &Inner, now_ms: i64) {
        let before = now_ms.saturating_sub(store.config.producer_expiration_ms);
        let mut state = self.0.state.borrow_mut();
        if state.producers.len() == 0 {
            return;
        }
        let gone = state.producers.expire(before);
        store.producers.set(store.producers.get().saturating_sub(gone));
    }
}

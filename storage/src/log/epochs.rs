//! Which leader wrote from which offset on (KIP-101).

/// Leader epochs with the offset each began at, both rising.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Epochs(Vec<(i32, i64)>);

impl Epochs {
    pub(crate) const fn from_pairs(pairs: Vec<(i32, i64)>) -> Self {
        Self(pairs)
    }

    pub(crate) fn pairs(&self) -> &[(i32, i64)] {
        &self.0
    }

    /// Whether epochs and offsets rise and stay within the log (R9).
    pub(crate) fn fits(&self, log_end: i64) -> bool {
        self.0.is_sorted_by(|a, b| a.0 < b.0 && a.1 <= b.1)
            && self.0.iter().all(|&(epoch, start)| epoch >= 0 && (0..=log_end).contains(&start))
    }

    /// Notes that `epoch` wrote at `offset`. Returns whether that was news.
    pub(crate) fn note(&mut self, epoch: i32, offset: i64) -> bool {
        match self.0.last_mut() {
            Some(last) if last.0 >= epoch => false,
            // An epoch that began here and wrote nothing leaves no trace.
            Some(last) if last.1 == offset => {
                *last = (epoch, offset);
                true
            }
            _ if epoch < 0 => false,
            _ => {
                self.0.push((epoch, offset));
                true
            }
        }
    }

    /// The newest epoch that wrote or began.
    pub(crate) fn latest(&self) -> Option<i32> {
        self.0.last().map(|it| it.0)
    }

    /// The largest epoch not above `epoch`, and the offset where it ended: Kafka's
    /// OffsetForLeaderEpoch. `None` if nothing is known of it.
    pub(crate) fn end_of(&self, epoch: i32, log_end: i64) -> Option<(i32, i64)> {
        let latest = self.latest()?;
        if epoch == latest {
            return Some((latest, log_end));
        }
        let above = self.0.partition_point(|&(it, _)| it <= epoch);
        let &(_, end) = self.0.get(above)?;
        let floor = above.checked_sub(1).map_or(epoch, |at| self.0[at].0);
        Some((floor, end))
    }

    /// Forgets what ended before `start`; the epoch that wrote at `start` now begins there.
    pub(crate) fn trim(&mut self, start: i64) {
        let above = self.0.partition_point(|&(_, it)| it <= start);
        if above > 1 {
            self.0.drain(..above - 1);
        }
        if let Some(first) = self.0.first_mut()
            && first.1 < start
        {
            first.1 = start;
        }
    }
}

#[cfg(test)]
mod tests;

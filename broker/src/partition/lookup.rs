//! Questions about one partition's past: times, epochs, producers.

use protocol::{ErrorCode, LeaderEpoch, Offset};
use storage::ReadError;

use super::{Partition, read_code};

impl Partition {
    /// The first record whose timestamp is not below `timestamp`, and its timestamp.
    ///
    /// # Errors
    /// The log cannot be read there.
    pub(crate) async fn offset_for_time(
        &self,
        timestamp: i64,
    ) -> Result<Option<(Offset, i64)>, ErrorCode> {
        let found = self.log.offset_for_time(timestamp).await;
        let found = found.map_err(|error: ReadError| read_code(&error))?;
        Ok(found.map(|found| (found.offset, found.timestamp)))
    }

    /// The first record that has the largest timestamp of all, and that timestamp.
    ///
    /// # Errors
    /// The log cannot be read there.
    pub(crate) async fn max_timestamp(&self) -> Result<Option<(Offset, i64)>, ErrorCode> {
        match self.log.max_timestamp() {
            Some((timestamp, _batch)) => self.offset_for_time(timestamp).await,
            None => Ok(None),
        }
    }

    /// The largest epoch not above `epoch` that wrote here, and the offset where it ended. `None` for an epoch that
    /// is still to come and for one before the log's memory.
    pub(crate) fn epoch_end(&self, epoch: LeaderEpoch) -> Option<(LeaderEpoch, Offset)> {
        if epoch > self.epoch() {
            return None;
        }
        if epoch == self.epoch() {
            return Some((epoch, self.log.log_end_offset()));
        }
        self.log.epoch_end(epoch)
    }
}

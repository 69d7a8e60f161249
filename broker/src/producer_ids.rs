//! Ids for idempotent producers: each shard draws blocks from the controller and hands them out one by one.

use std::cell::RefCell;
use std::ops::Range;
use std::rc::Rc;
use std::time::Duration;

use protocol::ProducerId;
use protocol::metadata::control::{Command, Refusal, Reply};
use runtime::sync::Semaphore;

use crate::config::BrokerConfig;
use crate::decide::decide;
use crate::quota::{self, Quota};
use crate::shard::Shard;

/// A shard's stock of ids that nobody has yet.
///
/// A block is written to the metadata log before its first id is given out and is not given back at a stop, so no
/// restart can hand out an id again.
pub(crate) struct ProducerIds {
    left: RefCell<Range<i64>>,
    /// One block at a time, however many producers wait.
    turn: Semaphore,
    quota: Quota,
}

/// A minute's worth of ids may be drawn at once.
const BURST: Duration = Duration::from_secs(60);

impl ProducerIds {
    /// None yet. The broker's quota is shared out evenly.
    pub(crate) fn new(config: &BrokerConfig) -> Self {
        let per_second = f64::from(config.limits.producer_ids_per_minute) / 60.0;
        let quota = Quota::new(per_second / config.shards.max(1) as f64, BURST);
        Self { left: RefCell::new(0..0), turn: Semaphore::new(1), quota }
    }

    /// An id that no producer has had.
    ///
    /// # Errors
    /// Too many were given out in the last minute; or the controller could not be asked for a block, or has no more.
    pub(crate) async fn next(&self, shard: &Rc<Shard>) -> Result<ProducerId, Refusal> {
        self.quota.take(shard.world.now(), 1).map_err(quota::refusal)?;
        if let Some(id) = self.take() {
            return Ok(id);
        }
        let _turn = self.turn.acquire(1).await;
        loop {
            if let Some(id) = self.take() {
                return Ok(id);
            }
            let reply = decide(shard, Command::AllocateProducerIds(shard.node.broker_id)).await?;
            if let Reply::ProducerIds(block) = reply {
                *self.left.borrow_mut() = block?;
            }
        }
    }

    fn take(&self) -> Option<ProducerId> {
        self.left.borrow_mut().next().and_then(ProducerId::new)
    }
}

//! Produce: append batches, each to the partition that its entry names.

use std::rc::Rc;

use protocol::native::produce::{Answer as Body, Outcome, Problem, RequestView};
use protocol::{ErrorCode, TopicPartition};

use super::{Fault, Request, brief, encode_answer, not_found, refusal};
use crate::answer::Answer;
use crate::append::{Acks, Appending, Author};
use crate::connection::Handled;
use crate::metrics::{Count, Stage};
use crate::pending::{AppendReply, Pending};
use crate::shard::Shard;

/// Refusals that are explained; the others of a request have their error number alone.
const PROBLEMS_MAX: usize = 1_000;

/// Fixes the order of the request's batches; the answer waits for the disk.
pub(super) fn handle(request: &Request<'_>) -> Result<Handled, Fault> {
    let shard = request.shard;
    shard.metrics.add(Count::ProduceRequests, 1);
    let body = RequestView::read(&request.frame)?;
    let acks = Acks::from_wire(body.acks());
    let refused = match (acks, body.transactional_id()) {
        (None, _) => Some(ErrorCode::InvalidRequiredAcks),
        (_, Some(_)) => Some(ErrorCode::UnsupportedVersion),
        (Some(_), None) => None,
    };
    let mut appending = Appending::new(acks.unwrap_or(Acks::Leader), Author::Client);
    let mut partitions = Vec::with_capacity(body.len());
    for (partition, batch) in body.batches() {
        partitions.push(partition);
        match refused {
            Some(code) => appending.refuse(code.into()),
            None => appending.append(shard, partition, request.bytes, batch),
        }
    }
    appending.dispatch(shard);
    shard.metrics.time(Stage::ProduceOrdered, appending.ordered_at().since(request.arrived));

    if acks == Some(Acks::None) {
        return Ok(Handled::Silent);
    }
    let correlation = request.frame.correlation();
    let reply = Reply { shard: Rc::clone(shard), correlation, partitions };
    Ok(Handled::Owe(Pending::Append { appending, reply: Box::new(reply) }, Stage::ProduceTotal))
}

/// What is needed to answer once the outcomes are final.
struct Reply {
    shard: Rc<Shard>,
    correlation: u64,
    /// Where each batch should go; outcomes follow in the same order.
    partitions: Vec<TopicPartition>,
}

impl AppendReply for Reply {
    fn answer(&self, appending: &Appending) -> Answer {
        let image = self.shard.view.image();
        let mut outcomes = Vec::with_capacity(self.partitions.len());
        let mut problems = Vec::new();
        for (partition, outcome) in self.partitions.iter().zip(appending.outcomes()) {
            outcomes.push(match outcome {
                Ok(landed) => Outcome {
                    partition: *partition,
                    error: ErrorCode::None,
                    base_offset: landed.base_offset,
                    log_append_time_ms: landed.log_append_time_ms,
                    log_start_offset: landed.log_start_offset,
                },
                Err(refusal) => {
                    if let Some(message) = &refusal.message
                        && problems.len() < PROBLEMS_MAX
                    {
                        let entry = u32::try_from(outcomes.len()).unwrap_or(u32::MAX);
                        problems.push(Problem { entry, record: None, message: brief(message) });
                        let room = PROBLEMS_MAX - problems.len();
                        problems.extend(refusal.records.iter().take(room).map(|(at, message)| {
                            Problem { entry, record: Some(*at), message: brief(message) }
                        }));
                    }
                    Outcome {
                        partition: *partition,
                        error: not_found(&image, *partition, refusal.code),
                        base_offset: -1,
                        log_append_time_ms: -1,
                        log_start_offset: -1,
                    }
                }
            });
        }
        let body = Body { outcomes: &outcomes, problems: &problems };
        let head = encode_answer(&self.shard, self.correlation, |correlation, encoder| {
            body.encode(correlation, encoder)
        });
        match head {
            Ok(head) => Answer::new(head),
            Err(error) => refusal(&self.shard, self.correlation, &Fault::Frame(error)),
        }
    }
}

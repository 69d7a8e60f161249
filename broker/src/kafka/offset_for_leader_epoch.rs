//! OffsetForLeaderEpoch (key 23), versions 2 to 4: where did a leader's epoch end (KIP-320)?

use std::rc::Rc;

use protocol::kafka::offset_for_leader_epoch::{
    EpochEndOffset, OffsetForLeaderEpochRequest, OffsetForLeaderEpochResponse,
    OffsetForLeaderTopicResult,
};
use protocol::{ErrorCode, LeaderEpoch};

use super::{Broken, Request};
use crate::answer::Answer;
use crate::ask;
use crate::partition::Partition;
use crate::shard::Shard;

/// Looks each epoch up.
pub(super) async fn handle(request: &Request) -> Result<Answer, Broken> {
    let body = request.decode::<OffsetForLeaderEpochRequest<'_>>()?;
    let image = request.shard.view.image();
    let mut questions = Vec::new();
    for topic in &body.topics {
        for partition in &topic.partitions {
            let id = ask::find(&image, topic.topic, partition.partition);
            questions.push((id, (partition.current_leader_epoch, partition.leader_epoch)));
        }
    }
    let mut answers = ask::each(&request.shard, questions, end_of).await.into_iter();
    let topics = body.topics.iter().map(|topic| OffsetForLeaderTopicResult {
        topic: topic.topic,
        partitions: topic
            .partitions
            .iter()
            .zip(answers.by_ref())
            .map(|(partition, answer)| {
                let (leader_epoch, end_offset) = answer.unwrap_or((-1, -1));
                EpochEndOffset {
                    error_code: answer.err().unwrap_or(ErrorCode::None),
                    partition: partition.partition,
                    leader_epoch,
                    end_offset,
                }
            })
            .collect(),
    });
    request.answer(&OffsetForLeaderEpochResponse {
        topics: topics.collect(),
        ..OffsetForLeaderEpochResponse::default()
    })
}

/// The last epoch not above the one asked for, and the offset after its last record; -1 and -1 if the log knows none.
async fn end_of(
    _shard: Rc<Shard>,
    partition: Rc<Partition>,
    (current, asked): (i32, i32),
) -> Result<(i32, i64), ErrorCode> {
    partition.check_epoch(current)?;
    let Some(asked) = LeaderEpoch::new(asked) else { return Ok((-1, -1)) };
    Ok(partition.epoch_end(asked).map_or((-1, -1), |(epoch, end)| (epoch.get(), end.get())))
}

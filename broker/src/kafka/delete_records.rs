//! DeleteRecords (key 21), versions 0 to 2: raise the log start offset; what lies below is gone for good.

use std::rc::Rc;

use protocol::kafka::delete_records::{
    DeleteRecordsPartitionResult, DeleteRecordsRequest, DeleteRecordsResponse,
    DeleteRecordsTopicResult,
};
use protocol::{ErrorCode, Offset};

use super::{Broken, Request, ask};
use crate::answer::Answer;
use crate::partition::Partition;
use crate::shard::Shard;

/// Stands for the high watermark.
const ALL: i64 = -1;

/// Trims each partition; the answer says that it is on disk.
pub(super) async fn handle(request: &Request) -> Result<Answer, Broken> {
    let body = request.decode::<DeleteRecordsRequest<'_>>()?;
    let image = request.shard.view.image();
    let mut questions = Vec::new();
    for topic in &body.topics {
        for partition in &topic.partitions {
            let id = ask::find(&image, topic.name, partition.partition_index);
            questions.push((id, partition.offset));
        }
    }
    let mut answers = ask::each(&request.shard, questions, trim).await.into_iter();
    let topics = body.topics.iter().map(|topic| DeleteRecordsTopicResult {
        name: topic.name,
        partitions: topic
            .partitions
            .iter()
            .zip(answers.by_ref())
            .map(|(partition, answer)| DeleteRecordsPartitionResult {
                partition_index: partition.partition_index,
                low_watermark: answer.unwrap_or(-1),
                error_code: answer.err().unwrap_or(ErrorCode::None),
            })
            .collect(),
    });
    request.answer(&DeleteRecordsResponse {
        topics: topics.collect(),
        ..DeleteRecordsResponse::default()
    })
}

/// Raises the log start to `offset` and gives where it is then.
async fn trim(shard: Rc<Shard>, partition: Rc<Partition>, offset: i64) -> Result<i64, ErrorCode> {
    if !partition.config().cleanup.delete && partition.config().cleanup.compact {
        return Err(ErrorCode::PolicyViolation);
    }
    let high_watermark = partition.high_watermark();
    let to = if offset == ALL { high_watermark } else { offset };
    let to = Offset::new(to).filter(|to| to.get() <= high_watermark);
    let to = to.ok_or(ErrorCode::OffsetOutOfRange)?;
    if to > partition.log.log_start_offset() {
        let ticket = partition.log.trim(to).map_err(|_fenced| ErrorCode::KafkaStorageError)?;
        shard.store.durable(ticket).await.map_err(|_fenced| ErrorCode::KafkaStorageError)?;
    }
    Ok(partition.log.log_start_offset().get())
}

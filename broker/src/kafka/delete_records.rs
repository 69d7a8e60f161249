//! DeleteRecords (key 21), versions 0 to 2: raise the log start offset; what lies below is gone for good.

use protocol::ErrorCode;
use protocol::kafka::delete_records::{
    DeleteRecordsPartitionResult, DeleteRecordsRequest, DeleteRecordsResponse,
    DeleteRecordsTopicResult,
};

use super::{Broken, Request};
use crate::answer::Answer;
use crate::ask;
use crate::offsets::trim;

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

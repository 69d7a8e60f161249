//! OffsetDelete (key 47), version 0: forget how far a group has read some partitions (KIP-496).

use protocol::ErrorCode;
use protocol::kafka::offset_delete::{
    OffsetDeleteRequest, OffsetDeleteResponse, OffsetDeleteResponsePartition,
    OffsetDeleteResponseTopic,
};

use super::{Broken, Request};
use crate::answer::Answer;
use crate::{ask, groups};

/// Forgets what no member reads.
pub(super) async fn handle(request: &Request) -> Result<Answer, Broken> {
    let body = request.decode::<OffsetDeleteRequest<'_>>()?;
    let wanted = body.topics.iter().map(|topic| {
        let indexes = topic.partitions.iter().map(|partition| partition.partition_index);
        (topic.name.to_owned(), indexes.collect())
    });
    let told = groups::delete_offsets(&request.shard, body.group_id, wanted.collect()).await;
    let codes = match told {
        Ok(codes) => codes,
        Err(error_code) => {
            return request
                .answer(&OffsetDeleteResponse { error_code, ..OffsetDeleteResponse::default() });
        }
    };
    let image = request.shard.view.image();
    let topics = body.topics.iter().zip(codes).map(|(topic, code)| OffsetDeleteResponseTopic {
        name: topic.name,
        partitions: topic
            .partitions
            .iter()
            .map(|partition| {
                let partition_index = partition.partition_index;
                let known = ask::find(&image, topic.name, partition_index).is_some();
                let error_code = if known { code } else { ErrorCode::UnknownTopicOrPartition };
                OffsetDeleteResponsePartition { partition_index, error_code }
            })
            .collect(),
    });
    request.answer(&OffsetDeleteResponse {
        topics: topics.collect(),
        ..OffsetDeleteResponse::default()
    })
}

//! CreatePartitions (key 37), versions 0 to 3: give topics more partitions.

use protocol::ErrorCode;
use protocol::kafka::create_partitions::{
    CreatePartitionsRequest, CreatePartitionsResponse, CreatePartitionsTopic,
    CreatePartitionsTopicResult,
};
use protocol::metadata::control::{AddPartitions, Mode};

use super::{Broken, Request};
use crate::answer::Answer;
use crate::topics;

/// Adds them; the answer says that they are there on every shard.
pub(super) async fn handle(request: &Request) -> Result<Answer, Broken> {
    let body = request.decode::<CreatePartitionsRequest<'_>>()?;
    let mode = if body.validate_only { Mode::Validate } else { Mode::Apply };
    let wishes = body.topics.iter().map(wish).collect();
    let results = topics::grow(&request.shard, wishes, mode).await;
    let results = body.topics.iter().zip(&results).map(|(topic, result)| match result {
        Ok(()) => CreatePartitionsTopicResult {
            name: topic.name,
            error_code: ErrorCode::None,
            error_message: None,
        },
        Err(refusal) => CreatePartitionsTopicResult {
            name: topic.name,
            error_code: refusal.code,
            error_message: Some(&refusal.message),
        },
    });
    request.answer(&CreatePartitionsResponse {
        results: results.collect(),
        ..CreatePartitionsResponse::default()
    })
}

fn wish(topic: &CreatePartitionsTopic<'_>) -> AddPartitions {
    let by_hand = topic.assignments.as_ref().map(|assignments| {
        assignments.iter().map(|assignment| assignment.broker_ids.clone()).collect()
    });
    AddPartitions { topic: topic.name.to_owned(), count: topic.count, assignments: by_hand }
}

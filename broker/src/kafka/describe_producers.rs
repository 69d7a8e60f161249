//! DescribeProducers (key 61), version 0: the producers that partitions remember (KIP-664).

use std::collections::BTreeSet;
use std::rc::Rc;

use protocol::ErrorCode;
use protocol::kafka::describe_producers::{
    DescribeProducersRequest, DescribeProducersResponse, PartitionResponse, ProducerState,
    TopicResponse,
};

use super::{Broken, Request};
use crate::answer::Answer;
use crate::ask;
use crate::partition::Partition;
use crate::shard::Shard;

/// Lists them.
pub(super) async fn handle(request: &Request) -> Result<Answer, Broken> {
    let body = request.decode::<DescribeProducersRequest<'_>>()?;
    let image = request.shard.view.image();
    let mut questions = Vec::new();
    let mut seen = BTreeSet::new();
    for topic in &body.topics {
        for index in &topic.partition_indexes {
            // A partition named again is not listed again: a small request must not make a huge answer.
            let first = seen.insert((topic.name, *index));
            let id = if first { ask::find(&image, topic.name, *index) } else { None };
            questions.push((id, ()));
        }
    }
    let mut answers = ask::each(&request.shard, questions, producers).await.into_iter();
    let topics = body.topics.iter().map(|topic| TopicResponse {
        name: topic.name,
        partitions: topic
            .partition_indexes
            .iter()
            .zip(answers.by_ref())
            .map(|(index, answer)| {
                let error_code = answer.as_ref().err().copied().unwrap_or(ErrorCode::None);
                PartitionResponse {
                    partition_index: *index,
                    error_code,
                    error_message: (error_code != ErrorCode::None).then(|| error_code.about()),
                    active_producers: answer.unwrap_or_default(),
                }
            })
            .collect(),
    });
    request.answer(&DescribeProducersResponse {
        topics: topics.collect(),
        ..DescribeProducersResponse::default()
    })
}

async fn producers(
    _shard: Rc<Shard>,
    partition: Rc<Partition>,
    (): (),
) -> Result<Vec<ProducerState>, ErrorCode> {
    let known = partition.log.producers();
    let state = known.iter().map(|producer| ProducerState {
        producer_id: producer.id,
        producer_epoch: i32::from(producer.epoch),
        last_sequence: producer.last_sequence,
        last_timestamp: producer.last_timestamp,
        coordinator_epoch: -1,
        current_txn_start_offset: -1,
    });
    Ok(state.collect())
}

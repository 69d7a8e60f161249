//! Produce (key 0), versions 3 to 13: append one record batch to each of some partitions.
//!
//! 9 flexible; 13 names topics by id. Versions 0 to 2 are advertised and refused (KAFKA-18659).

use std::rc::Rc;

use protocol::kafka::produce::walk::{ProduceWalk, TopicWalk};
use protocol::kafka::produce::{
    BatchIndexAndErrorMessage, PartitionProduceResponse, ProduceResponse, TopicProduceResponse,
};
use protocol::wire::Wire;
use protocol::{ErrorCode, PartitionIndex, TopicId, TopicPartition};

use super::{Request, with_length};
use crate::answer::Answer;
use crate::append::{Acks, Appending, Author, Landed, Refusal};
use crate::connection::Handled;
use crate::metrics::{Count, Stage};
use crate::pending::{AppendReply, Pending};

/// Fixes the order of the request's batches; the answer waits for the disk.
pub(super) fn handle(request: Request) -> Handled {
    let shard = Rc::clone(&request.shard);
    shard.metrics.add(Count::ProduceRequests, 1);
    let Ok(body) = ProduceWalk::new(&mut request.body(), request.version) else {
        return Handled::Close("the produce request cannot be decoded");
    };
    let acks = Acks::from_wire(body.acks);
    let refused = match (acks, body.transactional_id) {
        (None, _) => Some(ErrorCode::InvalidRequiredAcks),
        (_, Some(_)) => Some(ErrorCode::UnsupportedVersion),
        (Some(_), None) => None,
    };
    let mut appending = Appending::new(acks.unwrap_or(Acks::Leader), Author::Client);
    let mut topics = Vec::with_capacity(body.topic_count);
    for topic in body.topics() {
        topics.push(append_topic(&request, &topic, refused, &mut appending));
    }
    appending.dispatch(&shard);
    shard.metrics.time(Stage::ProduceOrdered, appending.ordered_at().since(request.arrived));

    if acks == Some(Acks::None) {
        return Handled::Silent;
    }
    let reply = Reply { topics, request: request.without_body() };
    Handled::Owe(Pending::Append { appending, reply: Box::new(reply) }, Stage::ProduceTotal)
}

fn append_topic(
    request: &Request,
    topic: &TopicWalk<'_>,
    refused: Option<ErrorCode>,
    appending: &mut Appending,
) -> TopicReply {
    let shard = &request.shard;
    let image = shard.view.image();
    let by_id = request.version.number >= 13;
    let known = if by_id { image.topic(topic.topic_id) } else { image.topic_by_name(topic.name) };
    let unknown =
        if by_id { ErrorCode::UnknownTopicId } else { ErrorCode::UnknownTopicOrPartition };

    let mut indexes = Vec::with_capacity(topic.partition_count);
    for partition in topic.partitions() {
        indexes.push(partition.index);
        if let Some(code) = refused {
            appending.refuse(code.into());
            continue;
        }
        let id = known.zip(PartitionIndex::new(partition.index));
        match (id, partition.records) {
            (None, _) => appending.refuse(unknown.into()),
            (Some(_), None) => {
                appending
                    .refuse(Refusal::new(ErrorCode::InvalidRecord, "there is no record batch"));
            }
            (Some((topic, index)), Some(records)) => {
                let id = TopicPartition { topic: topic.id, index };
                appending.append(shard, id, &request.frame, records);
            }
        }
    }
    let name = known.map_or_else(|| Rc::from(topic.name), |known| Rc::clone(&known.name));
    TopicReply { name, id: topic.topic_id, indexes }
}

/// A topic of the answer and the partitions asked for; outcomes follow in the same order.
struct TopicReply {
    name: Rc<str>,
    id: TopicId,
    indexes: Vec<i32>,
}

/// What is needed to answer once the outcomes are final.
struct Reply {
    request: Request,
    topics: Vec<TopicReply>,
}

impl AppendReply for Reply {
    fn answer(&self, appending: &Appending) -> Answer {
        let mut outcomes = appending.outcomes().iter();
        let responses = self
            .topics
            .iter()
            .map(|topic| TopicProduceResponse {
                name: &topic.name,
                topic_id: topic.id,
                partition_responses: topic
                    .indexes
                    .iter()
                    .zip(outcomes.by_ref())
                    .map(|(index, outcome)| partition_response(*index, outcome))
                    .collect(),
            })
            .collect();
        let body = ProduceResponse { responses, ..ProduceResponse::default() };
        let mut bytes = self.request.answer_head();
        match body.encode(&mut bytes, self.request.version) {
            Ok(()) => Answer::new(with_length(bytes, 0)),
            // Every field was set for the request's own version.
            Err(error) => {
                tracing::error!(%error, "a produce answer could not be encoded");
                Answer::default()
            }
        }
    }
}

fn record_errors(refusal: &Refusal) -> Vec<BatchIndexAndErrorMessage<'_>> {
    let errors = refusal.records.iter().map(|(index, message)| BatchIndexAndErrorMessage {
        batch_index: index.cast_signed(),
        batch_index_error_message: Some(message),
    });
    errors.collect()
}

fn partition_response<'a>(
    index: i32,
    outcome: &'a Result<Landed, Refusal>,
) -> PartitionProduceResponse<'a> {
    match outcome {
        Ok(landed) => PartitionProduceResponse {
            index,
            base_offset: landed.base_offset,
            log_append_time_ms: landed.log_append_time_ms,
            log_start_offset: landed.log_start_offset,
            ..PartitionProduceResponse::default()
        },
        Err(refusal) => PartitionProduceResponse {
            index,
            error_code: refusal.code,
            base_offset: -1,
            record_errors: record_errors(refusal),
            error_message: refusal.message.as_deref(),
            ..PartitionProduceResponse::default()
        },
    }
}

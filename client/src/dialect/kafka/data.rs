//! Produce, fetch and list offsets.

use std::collections::BTreeMap;

use protocol::kafka::Api;
use protocol::kafka::fetch::{FetchPartition, FetchRequest, FetchTopic};
use protocol::kafka::list_offsets::{ListOffsetsPartition, ListOffsetsRequest, ListOffsetsTopic};
use protocol::kafka::produce::{PartitionProduceData, ProduceRequest, TopicProduceData};
use protocol::wire::Version;

use super::super::{
    Acks, Admission, ChannelError, ClientError, Expect, FetchLimits, FetchPart, FetchedPart,
    OffsetFound, OffsetPart, Pending, ProducePart, Produced,
};
use super::{Reply, Speaker, TopicKey, refuse, version_of};
use crate::view::TopicRef;

/// The first versions that name topics by id.
const PRODUCE_BY_ID: i16 = 13;
const FETCH_BY_ID: i16 = 13;

/// A produce request on its way.
pub(crate) struct PendingProduce {
    pending: Pending,
    version: Version,
    expect: Expect,
}

/// The parts of a request in the order of the wire: by topic, with each part's place in the caller's order.
struct Grouped<'a> {
    topics: BTreeMap<TopicKey<'a>, (&'a TopicRef, Vec<usize>)>,
    places: BTreeMap<(TopicKey<'a>, i32), usize>,
}

impl<'a> Grouped<'a> {
    fn new(parts: impl Iterator<Item = (&'a TopicRef, i32)>, by_id: bool) -> Self {
        let mut grouped = Self { topics: BTreeMap::new(), places: BTreeMap::new() };
        for (place, (topic, partition)) in parts.enumerate() {
            let key = if by_id { TopicKey::Id(topic.id) } else { TopicKey::Name(&topic.name) };
            grouped.topics.entry(key).or_insert_with(|| (topic, Vec::new())).1.push(place);
            grouped.places.insert((key, partition), place);
        }
        grouped
    }

    /// The place of a response's partition among the parts; `None` for one that was not asked for.
    fn place(&self, key: TopicKey<'_>, partition: i32) -> Option<usize> {
        self.places.get(&(key, partition)).copied()
    }
}

/// The newest agreed version, but none that needs topic ids when a topic has none.
fn by_id_or_older(agreed: Version, api: Api, first_by_id: i16, has_ids: bool) -> Version {
    if has_ids || agreed.number < first_by_id { agreed } else { version_of(api, first_by_id - 1) }
}

impl Speaker {
    pub(crate) fn submit_produce(
        &self,
        admission: Admission,
        acks: Acks,
        parts: &[ProducePart],
    ) -> Result<PendingProduce, ChannelError> {
        let agreed = self.shared.version(Api::Produce)?;
        let has_ids = parts.iter().all(|part| !part.topic.id.is_zero());
        let version = by_id_or_older(agreed, Api::Produce, PRODUCE_BY_ID, has_ids);
        let by_id = version.number >= PRODUCE_BY_ID;
        let grouped = Grouped::new(parts.iter().map(|it| (&*it.topic, it.partition)), by_id);
        let partition = |place: &usize| PartitionProduceData {
            index: parts[*place].partition,
            records: Some(&parts[*place].batch),
        };
        let topics = grouped.topics.values().map(|(topic, places)| TopicProduceData {
            name: if by_id { "" } else { &topic.name },
            topic_id: topic.id,
            partition_data: places.iter().map(partition).collect(),
        });
        let request = ProduceRequest {
            transactional_id: None,
            acks: acks.wire(),
            timeout_ms: i32::try_from(self.shared.timeout.as_millis()).unwrap_or(i32::MAX),
            topic_data: topics.collect(),
        };
        let expect = if acks == Acks::None { Expect::Nothing } else { Expect::Answer };
        let pending = self.shared.submit(admission, expect, &request, version)?;
        Ok(PendingProduce { pending, version, expect })
    }

    pub(crate) async fn produced(
        &self,
        pending: PendingProduce,
        parts: &[ProducePart],
    ) -> Result<Vec<Option<Produced>>, ChannelError> {
        let PendingProduce { pending, version, expect } = pending;
        // The broker may use up the timeout that it was told; the answer then still has to travel.
        let timeout = self.shared.timeout + self.shared.timeout / 4;
        let reply: Reply<ProduceRequest<'_>> = self.shared.reply(pending, version, timeout).await?;
        let mut outcomes = vec![None; parts.len()];
        if expect == Expect::Nothing {
            return Ok(outcomes);
        }
        let body = self.shared.read(&reply, Reply::body)?;
        let by_id = version.number >= PRODUCE_BY_ID;
        let grouped = Grouped::new(parts.iter().map(|it| (&*it.topic, it.partition)), by_id);
        for topic in &body.responses {
            let key = key_of(by_id, topic.topic_id, topic.name);
            for answer in &topic.partition_responses {
                let Some(place) = grouped.place(key, answer.index) else { continue };
                let record_error = answer.record_errors.first();
                let detail = record_error.and_then(|error| error.batch_index_error_message);
                outcomes[place] = Some(Produced {
                    error: answer.error_code,
                    message: answer.error_message.or(detail).map(str::to_owned),
                    base_offset: answer.base_offset,
                    log_append_time_ms: answer.log_append_time_ms,
                });
            }
        }
        Ok(outcomes)
    }

    pub(crate) async fn fetch(
        &self,
        limits: FetchLimits,
        parts: &[FetchPart],
    ) -> Result<Vec<Option<FetchedPart>>, ClientError> {
        let agreed = self.shared.version(Api::Fetch)?;
        let has_ids = parts.iter().all(|part| !part.topic.id.is_zero());
        let version = by_id_or_older(agreed, Api::Fetch, FETCH_BY_ID, has_ids);
        let by_id = version.number >= FETCH_BY_ID;
        let grouped = Grouped::new(parts.iter().map(|it| (&*it.topic, it.partition)), by_id);
        let partition = |place: &usize| FetchPartition {
            partition: parts[*place].partition,
            current_leader_epoch: parts[*place].leader_epoch,
            fetch_offset: parts[*place].offset,
            partition_max_bytes: limits.partition_bytes_max,
            ..Default::default()
        };
        let topics = grouped.topics.values().map(|(topic, places)| FetchTopic {
            topic: if by_id { "" } else { &topic.name },
            topic_id: topic.id,
            partitions: places.iter().map(partition).collect(),
        });
        let request = FetchRequest {
            max_wait_ms: limits.wait_ms,
            min_bytes: limits.bytes_min,
            max_bytes: limits.bytes_max,
            topics: topics.collect(),
            ..Default::default()
        };
        let wait = std::time::Duration::from_millis(limits.wait_ms.unsigned_abs().into());
        let admission = self.channel().admit().await;
        let pending = self.shared.submit(admission, Expect::Answer, &request, version)?;
        let timeout = self.shared.timeout + wait;
        let reply: Reply<FetchRequest<'_>> = self.shared.reply(pending, version, timeout).await?;
        let body = self.shared.read(&reply, Reply::body)?;
        refuse(body.error_code, None)?;
        let mut outcomes = vec![None; parts.len()];
        for topic in &body.responses {
            let key = key_of(by_id, topic.topic_id, topic.topic);
            for answer in &topic.partitions {
                let Some(place) = grouped.place(key, answer.partition_index) else { continue };
                let records = answer.records.unwrap_or_default();
                outcomes[place] = Some(FetchedPart {
                    error: answer.error_code,
                    high_watermark: answer.high_watermark,
                    records: reply.frame.slice_ref(records),
                });
            }
        }
        Ok(outcomes)
    }

    pub(crate) async fn list_offsets(
        &self,
        parts: &[OffsetPart],
    ) -> Result<Vec<Option<OffsetFound>>, ClientError> {
        let grouped = Grouped::new(parts.iter().map(|it| (&*it.topic, it.partition)), false);
        let partition = |place: &usize| ListOffsetsPartition {
            partition_index: parts[*place].partition,
            timestamp: parts[*place].timestamp,
            ..Default::default()
        };
        let topics = grouped.topics.values().map(|(topic, places)| ListOffsetsTopic {
            name: &topic.name,
            partitions: places.iter().map(partition).collect(),
        });
        let request = ListOffsetsRequest {
            replica_id: -1,
            topics: topics.collect(),
            timeout_ms: i32::try_from(self.shared.timeout.as_millis()).unwrap_or(i32::MAX),
            ..Default::default()
        };
        let reply = self.shared.ask(&request).await?;
        let body = self.shared.read(&reply, Reply::body)?;
        let mut outcomes = vec![None; parts.len()];
        for topic in &body.topics {
            for answer in &topic.partitions {
                let key = TopicKey::Name(topic.name);
                let Some(place) = grouped.place(key, answer.partition_index) else { continue };
                outcomes[place] = Some(OffsetFound {
                    error: answer.error_code,
                    offset: answer.offset,
                    timestamp: answer.timestamp,
                });
            }
        }
        Ok(outcomes)
    }
}

fn key_of(by_id: bool, id: protocol::ids::TopicId, name: &str) -> TopicKey<'_> {
    if by_id { TopicKey::Id(id) } else { TopicKey::Name(name) }
}

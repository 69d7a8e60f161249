//! Produce, fetch and list offsets.

use std::collections::BTreeMap;
use std::time::Duration;

use protocol::ids::TopicPartition;
use protocol::native::{PAYLOAD_BYTES_MAX, fetch, offsets, produce};

use super::super::{
    Acks, Admission, ChannelError, ClientError, Expect, FetchLimits, FetchPart, FetchedPart,
    OffsetFound, OffsetPart, Pending, ProducePart, Produced,
};
use super::{Speaker, wire_partition};

/// A produce request on its way.
pub(crate) struct PendingProduce {
    pending: Pending,
    expect: Expect,
}

/// Where each partition of a request stands in it.
fn places(parts: impl Iterator<Item = TopicPartition>) -> BTreeMap<TopicPartition, usize> {
    parts.enumerate().map(|(place, partition)| (partition, place)).collect()
}

fn unsigned(number: i32) -> u32 {
    u32::try_from(number).unwrap_or(0)
}

impl Speaker {
    pub(crate) fn submit_produce(
        &self,
        admission: Admission,
        acks: Acks,
        parts: &[ProducePart],
    ) -> Result<PendingProduce, ChannelError> {
        let entry = |part: &ProducePart| produce::Entry {
            partition: wire_partition(&part.topic, part.partition),
            batch_bytes: u32::try_from(part.batch.len()).unwrap_or(u32::MAX),
        };
        let entries: Vec<produce::Entry> = parts.iter().map(entry).collect();
        let request = produce::Request {
            acks: acks.wire(),
            timeout_ms: self.timeout_ms(),
            transactional_id: None,
            entries: &entries,
        };
        let payload = parts.iter().map(|part| part.batch.clone()).collect();
        let expect = if acks == Acks::None { Expect::Nothing } else { Expect::Answer };
        let pending = self.submit(admission, expect, payload, |correlation, encoder| {
            request.encode(correlation, encoder)
        })?;
        Ok(PendingProduce { pending, expect })
    }

    pub(crate) async fn produced(
        &self,
        pending: PendingProduce,
        parts: &[ProducePart],
    ) -> Result<Vec<Option<Produced>>, ChannelError> {
        // The broker may use up the timeout that it was told; the answer then still has to travel.
        let timeout = self.shared.timeout + self.shared.timeout / 4;
        let mut outcomes = vec![None; parts.len()];
        let answer = match self.answer(pending.pending, timeout).await {
            Ok(answer) => answer,
            Err(ClientError::Refused { code, message }) => {
                let refused =
                    Produced { error: code, message, base_offset: -1, log_append_time_ms: -1 };
                return Ok(vec![Some(refused); parts.len()]);
            }
            Err(ClientError::Channel(error)) => return Err(error),
            Err(other) => return Err(self.channel().malformed(other.to_string())),
        };
        if pending.expect == Expect::Nothing {
            return Ok(outcomes);
        }
        let frame = self.frame(&answer)?;
        let view = self.read(produce::AnswerView::read(&frame))?;
        let places = places(parts.iter().map(|part| wire_partition(&part.topic, part.partition)));
        for outcome in view.outcomes() {
            let Some(&place) = places.get(&outcome.partition) else { continue };
            outcomes[place] = Some(Produced {
                error: outcome.error,
                message: None,
                base_offset: outcome.base_offset,
                log_append_time_ms: outcome.log_append_time_ms,
            });
        }
        for problem in view.problems() {
            let place = usize::try_from(problem.entry).unwrap_or(usize::MAX);
            if let Some(Some(outcome)) = outcomes.get_mut(place) {
                outcome.message.get_or_insert_with(|| problem.message.to_owned());
            }
        }
        Ok(outcomes)
    }

    pub(crate) async fn fetch(
        &self,
        limits: FetchLimits,
        parts: &[FetchPart],
    ) -> Result<Vec<Option<FetchedPart>>, ClientError> {
        let entry = |part: &FetchPart| fetch::Entry {
            partition: wire_partition(&part.topic, part.partition),
            leader_epoch: part.leader_epoch,
            offset: part.offset,
            bytes_max: unsigned(limits.partition_bytes_max),
        };
        let entries: Vec<fetch::Entry> = parts.iter().map(entry).collect();
        let frame_limit = u32::try_from(PAYLOAD_BYTES_MAX).unwrap_or(u32::MAX);
        let request = fetch::Request {
            wait_ms_max: limits.wait_ms,
            bytes_min: unsigned(limits.bytes_min),
            bytes_max: unsigned(limits.bytes_max).min(frame_limit),
            read_committed: false,
            rack: "",
            entries: &entries,
        };
        let admission = self.channel().admit().await;
        let pending =
            self.submit(admission, Expect::Answer, Vec::new(), |correlation, encoder| {
                request.encode(correlation, encoder)
            })?;
        let wait = Duration::from_millis(u64::from(unsigned(limits.wait_ms)));
        let answer = self.answer(pending, self.shared.timeout + wait).await?;
        let frame = self.frame(&answer)?;
        let view = self.read(fetch::AnswerView::read(&frame))?;
        let places = places(entries.iter().map(|entry| entry.partition));
        let mut outcomes = vec![None; parts.len()];
        for (outcome, batches) in view.outcomes() {
            let Some(&place) = places.get(&outcome.partition) else { continue };
            outcomes[place] = Some(FetchedPart {
                error: outcome.error,
                high_watermark: outcome.high_watermark,
                records: answer.slice_ref(batches),
            });
        }
        Ok(outcomes)
    }

    pub(crate) async fn list_offsets(
        &self,
        parts: &[OffsetPart],
    ) -> Result<Vec<Option<OffsetFound>>, ClientError> {
        let entry = |part: &OffsetPart| offsets::Entry {
            partition: wire_partition(&part.topic, part.partition),
            leader_epoch: -1,
            timestamp: part.timestamp,
        };
        let entries: Vec<offsets::Entry> = parts.iter().map(entry).collect();
        let request = offsets::Request { read_committed: false, entries: &entries };
        let answer = self.ask(|correlation, encoder| request.encode(correlation, encoder)).await?;
        let frame = self.frame(&answer)?;
        let view = self.read(offsets::AnswerView::read(&frame))?;
        let places = places(entries.iter().map(|entry| entry.partition));
        let mut outcomes = vec![None; parts.len()];
        for outcome in view.outcomes() {
            let Some(&place) = places.get(&outcome.partition) else { continue };
            outcomes[place] = Some(OffsetFound {
                error: outcome.error,
                offset: outcome.offset,
                timestamp: outcome.timestamp,
            });
        }
        Ok(outcomes)
    }

    pub(super) fn timeout_ms(&self) -> i32 {
        i32::try_from(self.shared.timeout.as_millis()).unwrap_or(i32::MAX)
    }
}

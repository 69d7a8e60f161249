//! Reading a partition of `__consumer_offsets` back: the groups that live here, as their records tell.

use std::collections::BTreeMap;
use std::rc::Rc;

use protocol::Offset;
use protocol::batch::compress::{decompress, output_limit};
use protocol::batch::records::Records;
use protocol::batch::{Compression, RawBatch};
use protocol::kafka::group_log::{GroupKey, GroupMetadataValue, GroupValue, OffsetCommitValue};
use storage::{Log, ReadError, ReadLimit};

use super::classic::{Classic, Now};
use super::consumer::Consumer;
use super::home::Kind;
use super::offsets::Committed;
use super::settings::Settings;
use super::{Group, classic};
use crate::shard::Shard;

const READ_BYTES: usize = 1 << 20;

/// The groups of a log that is read whole, in the order of its records.
pub(crate) type Groups = BTreeMap<Rc<str>, Group>;

/// Reads every durable record of `log`.
///
/// # Errors
/// In words for people: the log cannot be read now.
pub(crate) async fn load(shard: &Shard, log: &Log, settings: &Settings) -> Result<Groups, String> {
    let mut groups = Groups::new();
    let end = log.durable_offset();
    let mut from = log.log_start_offset();
    while from < end {
        let limit = ReadLimit { max_bytes: READ_BYTES, end, at_least_one: true };
        let read = match log.read(from, limit).await {
            Ok(read) => read,
            Err(ReadError::Lost(lost)) => {
                tracing::error!(partition = %log.partition(), ?lost, "records of groups are lost");
                from = Offset::new(lost.end).ok_or("a loss without an end")?;
                continue;
            }
            Err(error) => return Err(error.to_string()),
        };
        let mut bytes = Vec::with_capacity(read.bytes);
        for slice in &read.slices {
            bytes.extend_from_slice(slice);
        }
        let now = Now { at: shard.world.now(), wall_ms: shard.world.wall_ms() };
        let mut rest = bytes.as_slice();
        let mut next = from;
        while !rest.is_empty() {
            let (batch, behind) = RawBatch::split_first(rest).map_err(|error| error.to_string())?;
            let batch = batch.check().map_err(|error| error.to_string())?;
            next = batch.base_offset().plus(batch.offset_count());
            rest = behind;
            if batch.is_control() {
                continue;
            }
            let unpacked;
            let records = if batch.compression() == Compression::None {
                batch.records()
            } else {
                let packed = batch.record_bytes();
                unpacked = decompress(batch.compression(), packed, output_limit(packed.len()))
                    .map_err(|error| error.to_string())?;
                Records::new(batch.header(), &unpacked)
            };
            for record in records {
                let record = record.map_err(|error| error.to_string())?;
                apply(&mut groups, record.key.unwrap_or_default(), record.value, settings, now);
            }
            shard.world.turn_if_needed().await;
        }
        if next <= from {
            return Err(format!("no batch is at offset {from}"));
        }
        from = next;
    }
    let now = Now { at: shard.world.now(), wall_ms: shard.world.wall_ms() };
    for group in groups.values_mut() {
        if let Kind::Consumer(consumer) = &mut group.kind {
            if consumer.is_known() {
                consumer.restored(now);
                group.recorded = true;
            } else {
                // All that told of it was taken back.
                group.kind = Kind::Classic(Box::new(Classic::new(Rc::clone(&settings.rules), now)));
            }
        }
    }
    Ok(groups)
}

/// Takes in one record. One that cannot be read is passed over: it cannot keep the other groups from their work.
fn apply(groups: &mut Groups, key: &[u8], value: Option<&[u8]>, settings: &Settings, now: Now) {
    let rules = &settings.rules;
    let about = match GroupKey::decode(key) {
        Ok(about) => about,
        Err(error) => {
            tracing::error!(%error, "the key of a group's record cannot be read");
            return;
        }
    };
    let outcome = match about {
        GroupKey::Offset { group, topic, partition } => {
            let committed = value.map(OffsetCommitValue::read).transpose();
            committed.map(|committed| {
                let group = entry(groups, group, rules, now);
                group.offsets.set(topic, partition, committed.as_ref().map(Committed::of));
            })
        }
        GroupKey::Group { group } => value.map(GroupMetadataValue::read).transpose().map(|value| {
            let group = entry(groups, group, rules, now);
            match value {
                Some(value) => {
                    group.recorded = true;
                    let restored = Classic::restore(Rc::clone(rules), &value, now);
                    group.kind = Kind::Classic(Box::new(restored));
                }
                None if matches!(group.kind, Kind::Classic(_)) => {
                    group.recorded = false;
                    group.kind = Kind::Classic(Box::new(Classic::new(Rc::clone(rules), now)));
                }
                // It became a group of the other kind.
                None => {}
            }
        }),
        GroupKey::ConsumerGroup { group: id }
        | GroupKey::Member { group: id, .. }
        | GroupKey::Target { group: id }
        | GroupKey::TargetMember { group: id, .. }
        | GroupKey::CurrentMember { group: id, .. } => {
            let group = entry(groups, id, rules, now);
            if value.is_some() && matches!(group.kind, Kind::Classic(_)) {
                let rules = Rc::clone(&settings.consumer_rules);
                group.kind =
                    Kind::Consumer(Box::new(Consumer::new(Rc::from(id), rules, false, now)));
            }
            match &mut group.kind {
                Kind::Consumer(consumer) => consumer.replay(about, value),
                Kind::Classic(_) => Ok(()),
            }
        }
        // Written by others only: what an expression finds is looked up anew. Groups of other kinds are not known to
        // this build; their records stay in the log.
        GroupKey::PartitionMetadata { .. }
        | GroupKey::RegularExpression { .. }
        | GroupKey::Unknown(_) => Ok(()),
    };
    if let Err(error) = outcome {
        tracing::error!(?about, %error, "the value of a group's record cannot be read");
    }
}

fn entry<'a>(
    groups: &'a mut Groups,
    id: &str,
    rules: &Rc<classic::Rules>,
    now: Now,
) -> &'a mut Group {
    if !groups.contains_key(id) {
        groups.insert(Rc::from(id), Group::new(rules, now));
    }
    groups.get_mut(id).expect("it was put there just now")
}

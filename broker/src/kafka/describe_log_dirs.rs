//! DescribeLogDirs (key 35), versions 1 to 5: how large partitions are on disk, and how full the disk is.

use std::collections::{BTreeMap, BTreeSet};
use std::rc::Rc;

use protocol::kafka::describe_log_dirs::{
    DescribeLogDirsPartition, DescribeLogDirsRequest, DescribeLogDirsResponse,
    DescribeLogDirsResult, DescribeLogDirsTopic,
};
use protocol::metadata::Image;
use protocol::{ErrorCode, TopicPartition};
use runtime::ShardId;

use super::{Broken, Request};
use crate::answer::Answer;
use crate::shard::Shard;

/// Measures every partition asked for.
pub(super) async fn handle(request: &Request) -> Result<Answer, Broken> {
    let body = request.decode::<DescribeLogDirsRequest<'_>>()?;
    let shard = &request.shard;
    let image = shard.view.image();
    let asked: Option<BTreeSet<(&str, i32)>> = body.topics.as_ref().map(|topics| {
        let pairs = |topic: &protocol::kafka::describe_log_dirs::DescribableLogDirTopic<'_>| {
            topic.partitions.clone()
        };
        topics
            .iter()
            .flat_map(|topic| pairs(topic).into_iter().map(|index| (topic.topic, index)))
            .collect()
    });
    let measured = measure(shard).await;
    let mut by_topic: BTreeMap<&str, Vec<DescribeLogDirsPartition>> = BTreeMap::new();
    for (id, bytes) in measured {
        let Some(name) = name_of(&image, id) else { continue };
        if asked.as_ref().is_some_and(|asked| !asked.contains(&(name, id.index.get()))) {
            continue;
        }
        by_topic.entry(name).or_default().push(DescribeLogDirsPartition {
            partition_index: id.index.get(),
            partition_size: i64::try_from(bytes).unwrap_or(i64::MAX),
            offset_lag: 0,
            is_future_key: false,
        });
    }
    let usable = shard.world.disk().free_bytes(&shard.config.dir).await;
    let directory = shard.config.dir.to_string_lossy();
    let fenced = shard.store.fenced().is_some();
    let result = DescribeLogDirsResult {
        error_code: if fenced { ErrorCode::KafkaStorageError } else { ErrorCode::None },
        log_dir: &directory,
        topics: by_topic
            .into_iter()
            .map(|(name, partitions)| DescribeLogDirsTopic { name, partitions })
            .collect(),
        usable_bytes: usable.ok().and_then(|bytes| bytes.try_into().ok()).unwrap_or(-1),
        ..DescribeLogDirsResult::default()
    };
    request.answer(&DescribeLogDirsResponse {
        results: vec![result],
        ..DescribeLogDirsResponse::default()
    })
}

fn name_of(image: &Image, id: TopicPartition) -> Option<&str> {
    image.topic(id.topic).map(|topic| topic.name.as_ref())
}

/// The size of every partition of this broker, in the order of ids. A shard that has stopped owns none.
async fn measure(shard: &Rc<Shard>) -> Vec<(TopicPartition, u64)> {
    let mut measured = Vec::new();
    for home in ShardId::all(shard.count()) {
        let sizes = shard.on(home, |there: Rc<Shard>| async move {
            let size = |partition: &Rc<crate::partition::Partition>| {
                (partition.id, partition.log.size_bytes())
            };
            there.partitions().iter().map(size).collect::<Vec<_>>()
        });
        measured.extend(sizes.await.unwrap_or_default());
    }
    measured.sort_unstable();
    measured
}

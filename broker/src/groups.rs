//! The consumer groups whose homes are on this shard.
//!
//! A group lives where its partition of the internal topic `__consumer_offsets` lives: the shard that owns the
//! partition answers for its groups, and everything that must survive is a record in it, in Kafka's own format. So a
//! restart, or another owner, reads the partition and knows what was known.
//!
//! ```text
//! kafka/join_group.rs ─▶ at_home ─▶ Home ─▶ Classic (decides) ─▶ Home ─▶ Ledger ─▶ partition
//!                        (a hop)   (one partition)                 │
//!                                                                  └─▶ answers, once the record is on disk
//! ```
//!
//! `Home` loads, writes, wakes and answers; what a group is, its machine decides ([`home::Kind`]). A group of another
//! kind gets its own machine beside [`classic`], and shares all of the rest.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::rc::Rc;

use protocol::kafka::group_log;
use protocol::metadata::control::{Mode, NewTopic};
use protocol::{ErrorCode, PartitionIndex, TopicId, TopicPartition};
use runtime::ShardId;

use crate::config::BrokerConfig;
use crate::partition::Partition;
use crate::shard::Shard;
use crate::topics;
use home::{Group, Home};
use settings::Settings;

mod admin;
mod classic;
mod consumer;
mod consumers;
mod expire;
mod home;
mod ledger;
mod load;
mod members;
mod migration;
mod offsets;
mod progress;
pub(crate) mod settings;
mod subscription;

pub(crate) use admin::{Listed, Seen, delete, describe, describe_consumer, list};
pub(crate) use consumer::{
    AWAY, Assignor, Described as DescribedConsumer, DescribedMember, LEAVE, Partitions, Refusal,
    Told, by_topic, partitions,
};
pub(crate) use consumers::{HeartbeatWish, heartbeat as consumer_heartbeat};
pub(crate) use members::{JoinWish, SyncWish, heartbeat, join, leave, sync};
pub(crate) use progress::{
    Commit, Fetch, Fetched, Found, TopicOffsets, commit, delete_offsets, fetch,
};
pub(crate) use settings::MEMBER_BYTES_MAX;

/// The topic that holds the groups' records.
pub(crate) const TOPIC: &str = "__consumer_offsets";

/// The groups of one shard.
pub(crate) struct Groups {
    pub(crate) settings: Rc<Settings>,
    /// By the partition of [`TOPIC`].
    homes: RefCell<BTreeMap<PartitionIndex, Rc<Home>>>,
}

impl Groups {
    /// None yet.
    pub(crate) fn new(config: &BrokerConfig) -> Self {
        Self { settings: Rc::new(Settings::new(config)), homes: RefCell::default() }
    }

    /// A partition of [`TOPIC`] is ours from here on: its groups are loaded and served.
    pub(crate) fn lead(&self, shard: &Rc<Shard>, partition: Rc<Partition>) {
        let index = partition.id.index;
        let home = Home::open(shard, partition);
        if let Some(before) = self.homes.borrow_mut().insert(index, home) {
            before.close();
        }
    }

    /// Sends everybody away who waits, and takes no more.
    pub(crate) fn stop(&self) {
        for home in self.homes.borrow().values() {
            home.close();
        }
    }

    /// What was read of a topic that is gone counts no more.
    pub(crate) fn forget_topic(&self, shard: &Shard, name: &str) {
        for home in self.homes() {
            expire::forget_topic(&home, shard, name);
        }
    }

    /// How many groups are known here.
    pub(crate) fn len(&self) -> usize {
        self.homes.borrow().values().map(|home| home.groups.borrow().len()).sum()
    }

    fn homes(&self) -> Vec<Rc<Home>> {
        self.homes.borrow().values().map(Rc::clone).collect()
    }

    fn home(&self, index: PartitionIndex) -> Result<Rc<Home>, ErrorCode> {
        let home = self.homes.borrow().get(&index).map(Rc::clone);
        let home = home.ok_or(ErrorCode::NotCoordinator)?;
        home.check_serving()?;
        Ok(home)
    }
}

/// The partition of [`TOPIC`] that a group belongs to; none while there is no such topic.
pub(crate) fn partition_of(shard: &Shard, group: &str) -> Option<TopicPartition> {
    let image = shard.view.image();
    let topic = image.topic_by_name(TOPIC)?;
    let count = u32::try_from(topic.partitions.len()).ok()?;
    let index = i32::try_from(group_log::home_of(group, count)).ok()?;
    Some(TopicPartition { topic: topic.id, index: PartitionIndex::new(index)? })
}

/// Runs `work` where the group lives.
async fn at_home<T, W, F>(shard: &Rc<Shard>, group: &str, work: W) -> Result<T, ErrorCode>
where
    T: Send + 'static,
    W: FnOnce(Rc<Shard>, Rc<Home>) -> F + Send + 'static,
    F: Future<Output = Result<T, ErrorCode>> + 'static,
{
    let partition = partition_of(shard, group).ok_or(ErrorCode::NotCoordinator)?;
    let home = shard.view.home(partition).ok_or(ErrorCode::NotCoordinator)?;
    let index = partition.index;
    let asked = shard.on(home, move |there: Rc<Shard>| {
        let running = there.groups.home(index).map(|home| work(Rc::clone(&there), home));
        async move { running?.await }
    });
    asked.await.map_err(|_gone| ErrorCode::CoordinatorNotAvailable)?
}

/// Runs `work` on every home of every shard and gives what each gives.
///
/// # Errors
/// The code of the first home that cannot be asked now.
async fn at_all_homes<T, W>(shard: &Rc<Shard>, work: W) -> Result<Vec<T>, ErrorCode>
where
    T: Send + 'static,
    W: Fn(&Home) -> T + Copy + Send + 'static,
{
    let mut all = Vec::new();
    for id in ShardId::all(shard.count()) {
        let there = shard.on(id, move |there: Rc<Shard>| async move {
            let homes = there.groups.homes();
            homes.iter().map(|home| home.check_serving().map(|()| work(home))).collect::<Vec<_>>()
        });
        for given in there.await.map_err(|_gone| ErrorCode::CoordinatorNotAvailable)? {
            all.push(given?);
        }
    }
    Ok(all)
}

/// Creates [`TOPIC`] if this is the first time that anybody needs it.
///
/// # Errors
/// It cannot be created now.
pub(crate) async fn create_topic(shard: &Rc<Shard>) -> Result<TopicId, ErrorCode> {
    if let Some(id) = shard.view.image().topic_id(TOPIC) {
        return Ok(id);
    }
    let settings = &shard.groups.settings;
    let brokers = i16::try_from(shard.view.image().brokers().count()).unwrap_or(i16::MAX);
    let wish = NewTopic {
        name: TOPIC.to_owned(),
        partitions: settings.topic_partitions,
        replication_factor: settings.topic_replicas.min(brokers).max(1),
        configs: [
            ("cleanup.policy", "compact".to_owned()),
            ("compression.type", "producer".to_owned()),
            ("segment.bytes", settings.topic_segment_bytes.to_string()),
        ]
        .into_iter()
        .map(|(key, value)| (key.to_owned(), Some(value)))
        .collect(),
        ..NewTopic::default()
    };
    let created = topics::create(shard, vec![wish], Mode::Apply).await.pop();
    match created {
        Some(Ok(topic)) => Ok(topic.id),
        // Somebody else was faster, or it cannot be made now; either way the client comes again.
        Some(Err(refusal)) => {
            if refusal.code != ErrorCode::TopicAlreadyExists {
                tracing::error!(%refusal, "the topic for groups cannot be created");
            }
            Err(ErrorCode::CoordinatorNotAvailable)
        }
        None => Err(ErrorCode::CoordinatorNotAvailable),
    }
}

/// Finds a group, or makes one that nobody has heard of if there is room.
fn find_or_make(shard: &Shard, home: &Home, id: &str) -> Result<(), ErrorCode> {
    if home.groups.borrow().contains_key(id) {
        return Ok(());
    }
    if shard.groups.len() >= home.settings.groups_max {
        return Err(ErrorCode::GroupMaxSizeReached);
    }
    let group = Group::new(&home.settings.rules, home::now(shard));
    home.groups.borrow_mut().insert(Rc::from(id), group);
    Ok(())
}

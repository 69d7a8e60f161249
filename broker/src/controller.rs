//! Changes of metadata: decided on shard 0, written to the metadata log, applied by every shard.
//!
//! A change takes effect in this order: the logs of new partitions are made at their homes, the
//! records become durable, every shard applies them, and only then is the client answered. So
//! nobody is told of a topic that a crash could take back, and nobody meets a partition without a
//! log.

use std::rc::Rc;

use protocol::metadata::config::TopicConfig;
use protocol::metadata::control::{Command, Controller as Rules, Decision, Reply};
use protocol::metadata::{Image, Record, Topic, topic_name};
use protocol::{LeaderEpoch, Offset, TopicId, TopicPartition};
use runtime::sync::Semaphore;
use runtime::{Map, ShardId, TaskClass};
use std::collections::BTreeSet;
use storage::{DataDir, LogConfig, Swept};

use crate::groups;
use crate::metadata_log::{Loaded, METADATA_TOPIC, MetadataLog, MetadataLogError};
use crate::partition::Partition;
use crate::quota::{self, Quota};
use crate::settings;
use crate::shard::{Gone, Shard};

/// Why a decided change did not take effect.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ChangeError {
    /// The log of a new partition could not be made.
    #[error("a partition's log cannot be created: {0}")]
    Storage(String),
    /// The metadata log did not take the records.
    #[error(transparent)]
    Log(#[from] MetadataLogError),
    /// A shard has stopped.
    #[error(transparent)]
    Gone(#[from] Gone),
}

/// The deciding part of a single broker. It lives on shard 0.
pub(crate) struct Controller {
    log: MetadataLog,
    rules: Rules,
    /// On the partitions that clients create and delete.
    changes: Quota,
    /// One change at a time: each is decided on the image that the one before left.
    turn: Semaphore,
}

impl Controller {
    /// Reads the metadata log and brings every shard to its state.
    pub(crate) async fn start(shard: &Rc<Shard>) -> Result<Rc<Self>, ChangeError> {
        let log = MetadataLog::open(&shard.world, &shard.store).await?;
        let loaded = log.load().await?;
        let rules = Rules {
            broker: shard.node.broker_id,
            at_start: shard.config.kafka_settings.clone(),
            partitions_max: shard.config.limits.partitions_max * shard.count(),
        };
        let limits = &shard.config.limits;
        let changes = Quota::new(f64::from(limits.partition_changes_per_second), quota::BURST);
        let controller = Rc::new(Self { log, rules, changes, turn: Semaphore::new(1) });
        controller.adopt_all(shard, &loaded).await?;
        controller.snapshot_if_due(shard);
        Ok(controller)
    }

    /// Decides one wish on the newest image and commits what follows from it; with no records
    /// nothing is written.
    async fn decide(
        self: &Rc<Self>,
        shard: &Rc<Shard>,
        command: Command,
    ) -> Result<Reply, ChangeError> {
        let _turn = self.turn.acquire(1).await;
        let image = shard.view.image();
        let now = shard.world.now();
        if let Err(reply) = quota::check_changes(&self.changes, now, &command) {
            return Ok(reply);
        }
        let Decision { records, reply } = self.rules.step(command, &image, shard.world.random());
        if !records.is_empty() {
            // Paid for by those who come behind: this one goes on.
            let _wait = self.changes.owe(now, quota::changed_partitions(&records, &image));
            self.commit(shard, &image, records).await?;
            self.snapshot_if_due(shard);
        }
        Ok(reply)
    }

    /// Begins a snapshot beside everything else; changes go on meanwhile.
    fn snapshot_if_due(self: &Rc<Self>, shard: &Rc<Shard>) {
        let image = shard.view.image();
        if !self.log.is_snapshot_due(&image) {
            return;
        }
        let controller = Rc::clone(self);
        shard.world.spawn(TaskClass::Background, async move {
            match controller.log.write_snapshot(&image).await {
                Ok(()) => tracing::info!(version = %image.version(), "metadata snapshot"),
                // Nothing is lost by it: the log is kept, and the next change tries again.
                Err(error) => tracing::warn!(%error, "no metadata snapshot could be written"),
            }
        });
    }

    async fn commit(
        &self,
        shard: &Rc<Shard>,
        image: &Image,
        records: Vec<Record>,
    ) -> Result<(), ChangeError> {
        let homes = place(shard, &added(image, &records));
        self.create_logs(shard, &homes).await?;
        if let Err(error) = self.log.append(&records).await {
            self.delete_logs(shard, &homes).await;
            return Err(error.into());
        }
        broadcast(shard, &records, &homes).await
    }

    /// Makes the logs of new partitions at their homes; all or none.
    async fn create_logs(&self, shard: &Rc<Shard>, homes: &[Home]) -> Result<(), ChangeError> {
        for (home, ids) in by_shard(shard, homes) {
            let made =
                shard.on(home, move |there: Rc<Shard>| async move { there.create_logs(ids).await });
            if let Err(reason) = made.await? {
                self.delete_logs(shard, homes).await;
                return Err(ChangeError::Storage(reason));
            }
        }
        Ok(())
    }

    async fn delete_logs(&self, shard: &Rc<Shard>, homes: &[Home]) {
        for (home, ids) in by_shard(shard, homes) {
            let gone = shard.on(home, move |there: Rc<Shard>| async move {
                for id in ids {
                    there.delete_log(id).await;
                }
            });
            if gone.await.is_err() {
                tracing::warn!(shard = %home, "logs of a refused topic stay until the next start");
            }
        }
    }

    /// Compares the metadata with the logs on disk and hands every shard its partitions.
    async fn adopt_all(&self, shard: &Rc<Shard>, loaded: &Loaded) -> Result<(), ChangeError> {
        let Loaded { image, deleted } = loaded;
        let mut homes: Vec<Home> = Vec::new();
        let mut placed = BTreeSet::new();
        let mut held = Vec::new();
        let mut damaged = false;
        for id in ShardId::all(shard.count()) {
            let (logs, lost) = shard
                .on(id, |there: Rc<Shard>| async move { (there.held_logs(), there.damaged) })
                .await?;
            held.push((id, logs));
            damaged |= lost;
        }
        if !damaged {
            sweep(shard, &held).await;
        }
        for (id, logs) in held {
            for (partition, end) in logs {
                if partition.topic == METADATA_TOPIC {
                    continue;
                }
                if image.partition(partition.topic, partition.index).is_some() {
                    homes.push((partition, id));
                    placed.insert(partition);
                } else if damaged {
                    tracing::error!(%partition, %end, "a log that the damaged metadata does not list is left alone");
                } else {
                    discard(shard, id, partition, end, deleted.contains(&partition.topic)).await?;
                }
            }
        }
        let missing: Vec<TopicPartition> = image
            .topics()
            .flat_map(|topic| {
                topic.indexed().map(|(index, _)| TopicPartition { topic: topic.id, index })
            })
            .filter(|partition| !placed.contains(partition))
            .collect();
        // A log is made before the metadata names it, so one that is missing was there and is lost.
        // Starting it empty would hide that: its partition stays offline.
        for partition in &missing {
            tracing::error!(%partition, "a partition's log is lost; the partition is offline");
        }
        let (version, records) = (image.version(), image.snapshot());
        for id in ShardId::all(shard.count()) {
            let (records, homes) = (records.clone(), homes.clone());
            let begun = shard.on(id, move |there: Rc<Shard>| async move {
                there.begin(version, &records, &homes)
            });
            begun.await?.map_err(|reason| MetadataLogError::Read { offset: version, reason })?;
        }
        Ok(())
    }
}

/// Configurations resolved while a change is applied.
type Configs = Map<TopicId, Rc<TopicConfig>>;

/// A partition and the shard that owns it.
type Home = (TopicPartition, ShardId);

/// Partitions that `records` add to `image`.
fn added(image: &Image, records: &[Record]) -> Vec<TopicPartition> {
    records
        .iter()
        .filter_map(|record| match record {
            Record::Partition(partition) => {
                let known = image.partition(partition.topic, partition.index).is_some();
                let id = TopicPartition { topic: partition.topic, index: partition.index };
                (!known).then_some(id)
            }
            _ => None,
        })
        .collect()
}

/// Gives each new partition to the shard that owns the fewest.
fn place(shard: &Shard, partitions: &[TopicPartition]) -> Vec<Home> {
    let mut load = shard.view.load(shard.count());
    partitions
        .iter()
        .filter_map(|partition| {
            let (least, count) = load.iter_mut().enumerate().min_by_key(|(_, count)| **count)?;
            *count += 1;
            Some((*partition, ShardId(u16::try_from(least).ok()?)))
        })
        .collect()
}

fn by_shard(shard: &Shard, homes: &[Home]) -> Vec<(ShardId, Vec<TopicPartition>)> {
    ShardId::all(shard.count())
        .map(|id| {
            let ids = homes.iter().filter(|(_, home)| *home == id).map(|(partition, _)| *partition);
            (id, ids.collect::<Vec<_>>())
        })
        .filter(|(_, ids)| !ids.is_empty())
        .collect()
}

/// A log that the metadata does not list. What was deleted on purpose, or never held a record, goes;
/// anything else is kept aside for a person to look at (R15).
async fn discard(
    shard: &Rc<Shard>,
    home: ShardId,
    partition: TopicPartition,
    end: Offset,
    deleted: bool,
) -> Result<(), Gone> {
    if deleted || end == Offset::ZERO {
        shard
            .on(home, move |there: Rc<Shard>| async move { there.delete_log(partition).await })
            .await
    } else {
        tracing::error!(%partition, %end, "a log that the metadata does not list is set aside");
        shard
            .on(home, move |there: Rc<Shard>| async move { there.set_aside(partition).await })
            .await
    }
}

/// Puts files that nothing explains aside (R14, R15).
async fn sweep(shard: &Rc<Shard>, held: &[(ShardId, Vec<(TopicPartition, Offset)>)]) {
    let known = held.iter().flat_map(|(_, logs)| logs.iter().map(|(id, _)| *id)).collect();
    match DataDir::sweep(&shard.world, &shard.config.dir, &known).await {
        Ok(Swept { strays: 0, lost: 0 }) => {}
        Ok(Swept { strays, lost }) => {
            tracing::warn!(
                strays,
                lost,
                "files that nothing explains were put into .stray and .lost"
            );
        }
        Err(error) => tracing::warn!(%error, "the directory could not be looked over"),
    }
}

/// Has every shard apply `records`, whose new partitions live at `homes`.
async fn broadcast(
    shard: &Rc<Shard>,
    records: &[Record],
    homes: &[Home],
) -> Result<(), ChangeError> {
    for id in ShardId::all(shard.count()) {
        let (records, homes) = (records.to_vec(), homes.to_vec());
        shard.on(id, move |there: Rc<Shard>| async move { there.apply(&records, &homes) }).await?;
    }
    Ok(())
}

impl Shard {
    /// Has shard 0 decide a wish. When it returns, every shard has applied what was decided.
    pub(crate) async fn decide(self: &Rc<Self>, command: Command) -> Result<Reply, ChangeError> {
        self.on(ShardId(0), move |there: Rc<Shard>| async move {
            let controller = there.controller().ok_or(Gone)?;
            controller.decide(&there, command).await
        })
        .await?
    }

    /// The logs this shard's store holds, with their ends.
    fn held_logs(&self) -> Vec<(TopicPartition, Offset)> {
        self.store.logs().iter().map(|log| (log.partition(), log.log_end_offset())).collect()
    }

    /// Makes empty logs; durable when it returns.
    async fn create_logs(self: &Rc<Self>, ids: Vec<TopicPartition>) -> Result<(), String> {
        if self.partition_count() + ids.len() > self.config.limits.partitions_max {
            return Err(format!(
                "this shard would own more than {} partitions",
                self.config.limits.partitions_max
            ));
        }
        for id in ids {
            self.store
                .create_soon(id, LogConfig::default(), LeaderEpoch::ZERO)
                .map_err(|error| error.to_string())?;
        }
        // One wait for all: the newest ticket covers those before it.
        let ticket = self.store.newest_ticket();
        self.store.durable(ticket).await.map_err(|error| error.to_string())
    }

    async fn delete_log(&self, id: TopicPartition) {
        if let Err(error) = self.store.delete(id).await {
            tracing::error!(partition = %id, %error, "a log could not be deleted");
        }
    }

    async fn set_aside(&self, id: TopicPartition) {
        if let Err(error) = self.store.stray(id).await {
            tracing::error!(partition = %id, %error, "a log could not be set aside");
        }
    }

    /// Takes in the whole image, once, and leads what lives here.
    fn begin(
        self: &Rc<Self>,
        version: Offset,
        records: &[Record],
        homes: &[Home],
    ) -> Result<(), String> {
        self.view.restore(version, records).map_err(|error| error.to_string())?;
        self.settle(homes);
        Ok(())
    }

    /// Learns where partitions live, and leads those that live here.
    fn settle(self: &Rc<Self>, homes: &[Home]) {
        self.view.settle(homes);
        let image = self.view.image();
        // The partitions of a topic share one resolved configuration.
        let mut configs = Map::default();
        for (id, _) in homes.iter().filter(|(_, home)| *home == self.id) {
            self.lead(&image, *id, &mut configs);
        }
    }

    /// Takes in decided records: the image first, then what follows for this shard's partitions.
    fn apply(self: &Rc<Self>, records: &[Record], homes: &[Home]) {
        let gone = self.deleted_names(records);
        if let Err(error) = self.view.apply(records) {
            tracing::error!(%error, "metadata that cannot be applied");
            return;
        }
        self.settle(homes);
        let image = self.view.image();
        let touched: BTreeSet<TopicId> =
            records.iter().filter_map(settings::touched_topic).collect();
        for record in records {
            if let Record::TopicDeleted { topic } = record {
                self.drop_topic(*topic);
            }
        }
        for name in gone {
            self.groups.forget_topic(self, &name);
        }
        self.reconfigure(&image, &touched, records.iter().any(settings::touches_all));
    }

    /// The names of the topics that `records` delete, as long as they are known.
    fn deleted_names(&self, records: &[Record]) -> Vec<Rc<str>> {
        let image = self.view.image();
        let name = |record: &Record| match record {
            Record::TopicDeleted { topic } => {
                image.topic(*topic).map(|topic| Rc::clone(&topic.name))
            }
            _ => None,
        };
        records.iter().filter_map(name).collect()
    }

    /// Begins to lead a partition whose log exists.
    fn lead(self: &Rc<Self>, image: &Image, id: TopicPartition, configs: &mut Configs) {
        let (Some(topic), Some(placed), Some(log)) =
            (image.topic(id.topic), image.partition(id.topic, id.index), self.store.log(id))
        else {
            return;
        };
        let config = self.config_of(image, topic, configs);
        let partition = Partition::new(
            id,
            log,
            placed.leader_epoch,
            Rc::clone(&config),
            topic_name::is_internal(&topic.name),
        );
        partition.configure(config);
        self.adopt(Rc::clone(&partition));
        if *topic.name == *groups::TOPIC {
            self.groups.lead(self, partition);
        }
    }

    fn drop_topic(self: &Rc<Self>, topic: TopicId) {
        for partition in self.partitions() {
            if partition.id.topic != topic {
                continue;
            }
            self.disown(partition.id);
            let shard = Rc::clone(self);
            self.world.spawn(TaskClass::Background, async move {
                shard.delete_log(partition.id).await;
            });
        }
        self.view.forget_topic(topic);
    }

    fn reconfigure(self: &Rc<Self>, image: &Image, topics: &BTreeSet<TopicId>, all: bool) {
        if topics.is_empty() && !all {
            return;
        }
        let mut configs = Map::default();
        for partition in self.partitions() {
            if (all || topics.contains(&partition.id.topic))
                && let Some(topic) = image.topic(partition.id.topic)
            {
                partition.configure(self.config_of(image, topic, &mut configs));
            }
        }
    }

    /// A topic's configuration, resolved once for all its partitions.
    fn config_of(&self, image: &Image, topic: &Topic, configs: &mut Configs) -> Rc<TopicConfig> {
        let resolve = || Rc::new(settings::topic_config(self, image, topic));
        Rc::clone(configs.entry(topic.id).or_insert_with(resolve))
    }
}

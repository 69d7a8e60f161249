//! What members and tools ask about offsets: to remember them, to tell them, to forget them.

use std::rc::Rc;
use std::time::Duration;

use protocol::ErrorCode;
use protocol::kafka::group_log::{GroupKey, GroupValue};
use runtime::sync::oneshot;

use super::classic::{Claim, State};
use super::home::{Home, Kind};
use super::ledger::{Lines, Then};
use super::offsets::{Committed, Offsets};
use super::{at_home, expire, find_or_make};
use crate::shard::Shard;

/// How far one topic was read: partition, offset, leader epoch and the client's text.
#[derive(Debug, Clone)]
pub(crate) struct TopicOffsets {
    pub(crate) topic: String,
    pub(crate) partitions: Vec<(i32, i64, i32, String)>,
}

/// Offsets to remember, as they travel between shards. What is in it was checked.
#[derive(Debug, Clone)]
pub(crate) struct Commit {
    pub(crate) group: String,
    pub(crate) member_id: String,
    pub(crate) instance_id: Option<String>,
    pub(crate) generation: i32,
    /// The client knows KIP-848 and its codes.
    pub(crate) knows_epochs: bool,
    /// How long an old client wants them kept.
    pub(crate) retention_ms: Option<i64>,
    pub(crate) topics: Vec<TopicOffsets>,
}

/// However much a group is beyond its quota, it hears of its commit after so long.
const THROTTLED_MAX: Duration = Duration::from_secs(10);

/// Remembers offsets; they are on disk when this returns. Gives how long the answer was held back by the group's quota.
///
/// # Errors
/// None of them is remembered.
pub(crate) async fn commit(shard: &Rc<Shard>, commit: Commit) -> Result<Duration, ErrorCode> {
    let group = commit.group.clone();
    at_home(shard, &group, move |there, home| {
        // Here, not in the future: commits keep the order in which they came.
        let queued = queue(&there, &home, commit);
        async move {
            let Some((done, held_back)) = queued? else { return Ok(Duration::ZERO) };
            done.await.map_err(|_closed| ErrorCode::NotCoordinator)??;
            if !held_back.is_zero() {
                // A broker that stops holds nobody back; either way the answer is due.
                let stop = there.world.stopping();
                let _over = there.world.timeout(held_back, stop).await;
            }
            Ok(held_back)
        }
    })
    .await
}

type Answer = runtime::sync::OneReceiver<Result<(), ErrorCode>>;

fn queue(
    shard: &Shard,
    home: &Home,
    commit: Commit,
) -> Result<Option<(Answer, Duration)>, ErrorCode> {
    let id = commit.group.as_str();
    let claim = Claim { member_id: &commit.member_id, instance_id: commit.instance_id.as_deref() };
    let generation = commit.generation;
    let known = home
        .with_classic(shard, id, |classic, now, _out| classic.check_commit(now, claim, generation))
        .or_else(|_other| {
            home.with_consumer(shard, id, |consumer, _now, _out| {
                consumer.check_commit(&commit.member_id, generation)?;
                // A member of the new protocol must know the codes of the new protocol.
                let is_classic = consumer.is_classic(&commit.member_id);
                if generation >= 0 && !commit.knows_epochs && !is_classic {
                    return Err(ErrorCode::UnsupportedVersion);
                }
                Ok(())
            })
        });
    match known {
        Ok(allowed) => allowed?,
        // Whoever keeps offsets here without being a member needs no group before.
        Err(_none) if generation < 0 => find_or_make(shard, home, id)?,
        Err(none) if commit.knows_epochs => return Err(none),
        Err(_none) => return Err(ErrorCode::IllegalGeneration),
    }
    let commit_ms = shard.world.wall_ms();
    let expire_ms = commit.retention_ms.and_then(|kept_ms| commit_ms.checked_add(kept_ms));
    let mut lines = Lines::default();
    let mut changes = Vec::new();
    for TopicOffsets { topic, partitions } in commit.topics {
        let topic: Rc<str> = Rc::from(topic);
        for (partition, offset, leader_epoch, metadata) in partitions {
            let metadata = metadata.into_boxed_str();
            let one = Committed { offset, leader_epoch, metadata, commit_ms, expire_ms };
            let about = GroupKey::Offset { group: id, topic: &topic, partition };
            let record = one.record();
            let version = record.version();
            lines
                .add(about, Some(|into: &mut Vec<u8>| record.write_in(version, into)))
                .map_err(|_too_long| ErrorCode::InvalidCommitOffsetSize)?;
            changes.push((Rc::clone(&topic), partition, Some(one)));
        }
    }
    if lines.is_empty() {
        return Ok(None);
    }
    let (done, answer) = oneshot();
    let then = Then::Offsets { group: Rc::from(id), changes, done: Some(done) };
    home.put(shard, lines, then);
    let per_second = home.settings.commits_per_second;
    let mut groups = home.groups.borrow_mut();
    let group = groups.get_mut(id);
    let held_back = group.map(|group| group.owe_commit(per_second, shard.world.now()));
    Ok(Some((answer, held_back.unwrap_or_default().min(THROTTLED_MAX))))
}

/// What a client wants to know of one group: partitions by topic, or everything.
#[derive(Debug, Clone)]
pub(crate) struct Fetch {
    pub(crate) group: String,
    pub(crate) topics: Option<Vec<(String, Vec<i32>)>>,
    /// Who asks, if it says so, and its epoch.
    pub(crate) member: Option<(Option<String>, i32)>,
}

/// A partition and its offset, if there is one.
pub(crate) type Found = (i32, Option<Committed>);

/// Offsets by topic.
pub(crate) type Fetched = Vec<(String, Vec<Found>)>;

/// Tells how far a group has read.
///
/// # Errors
/// The group cannot be asked.
pub(crate) async fn fetch(shard: &Rc<Shard>, fetch: Fetch) -> Result<Fetched, ErrorCode> {
    let group = fetch.group.clone();
    at_home(shard, &group, move |_there, home| async move {
        let groups = home.groups.borrow();
        let group = groups.get(fetch.group.as_str());
        if let (Some(Kind::Consumer(consumer)), Some((id, epoch))) =
            (group.map(|group| &group.kind), &fetch.member)
        {
            consumer.check_fetch(id.as_deref(), *epoch)?;
        }
        let offsets = group.map(|group| &group.offsets);
        Ok(match fetch.topics {
            Some(topics) => topics
                .into_iter()
                .map(|(topic, partitions)| {
                    let one = |index: i32| {
                        let found = offsets.and_then(|offsets| offsets.get(&topic, index));
                        (index, found.cloned())
                    };
                    let found = partitions.into_iter().map(one).collect();
                    (topic, found)
                })
                .collect(),
            None => offsets
                .into_iter()
                .flat_map(Offsets::all)
                .map(|(topic, partitions)| {
                    let one = |(index, one): (&i32, &Committed)| (*index, Some(one.clone()));
                    (topic.as_ref().to_owned(), partitions.iter().map(one).collect())
                })
                .collect(),
        })
    })
    .await
}

/// Forgets how far a group has read some partitions; gives what is said of each topic, in order.
///
/// # Errors
/// The group is not there, or cannot be asked, or its members would miss the offsets.
pub(crate) async fn delete_offsets(
    shard: &Rc<Shard>,
    group: &str,
    topics: Vec<(String, Vec<i32>)>,
) -> Result<Vec<ErrorCode>, ErrorCode> {
    if group.is_empty() {
        return Err(ErrorCode::InvalidGroupId);
    }
    let id: String = group.to_owned();
    at_home(shard, group, move |there, home| async move {
        let mut codes = Vec::with_capacity(topics.len());
        let mut places = Vec::new();
        {
            let groups = home.groups.borrow();
            let group = groups.get(id.as_str()).ok_or(ErrorCode::GroupIdNotFound)?;
            for (topic, partitions) in &topics {
                let in_use = match &group.kind {
                    Kind::Consumer(consumer) => consumer.is_subscribed(topic),
                    Kind::Classic(classic) => match (classic.state(), classic.is_subscribed(topic))
                    {
                        (State::Empty, _) => false,
                        (_, Some(in_use)) => in_use,
                        // What its members read is not known, so they may need everything.
                        (_, None) => return Err(ErrorCode::NonEmptyGroup),
                    },
                };
                codes.push(if in_use {
                    ErrorCode::GroupSubscribedToTopic
                } else {
                    ErrorCode::None
                });
                let topic: Rc<str> = Rc::from(topic.as_str());
                let known = partitions
                    .iter()
                    .filter(|index| !in_use && group.offsets.get(&topic, **index).is_some());
                places.extend(known.map(|index| (Rc::clone(&topic), *index)));
            }
        }
        if !places.is_empty() {
            let (done, answer) = oneshot();
            expire::forget(&home, &there, &Rc::from(id), places, Some(done));
            answer.await.map_err(|_closed| ErrorCode::NotCoordinator)??;
        }
        Ok(codes)
    })
    .await
}

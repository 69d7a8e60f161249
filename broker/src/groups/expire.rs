//! Forgetting: offsets that nobody has used for long, groups that nobody is in, offsets of topics that are gone.

use std::rc::Rc;
use std::time::Duration;

use protocol::kafka::group_log::GroupKey;

use super::classic::State;
use super::consumer;
use super::home::{Group, Home, Kind};
use super::ledger::{Done, Lines, Then};
use super::offsets::{Committed, Place};
use crate::shard::Shard;

/// A group without members and offsets is kept for so long: its members may be about to come back.
const EMPTY_KEPT: Duration = Duration::from_secs(60);

/// Looks after a partition's groups until it is given up.
pub(super) async fn run(home: &Home, shard: &Rc<Shard>) {
    let mut checked = shard.world.now();
    while !home.is_closed() {
        let nap = home.settings.check_every.min(EMPTY_KEPT);
        // Closing the partition does not end the sleep; the broker's stop does.
        if shard.world.timeout(nap, shard.world.stopping()).await.is_ok() || home.is_closed() {
            return;
        }
        let now = shard.world.now();
        if now.since(checked) >= home.settings.check_every {
            checked = now;
            forget_old_offsets(home, shard);
        }
        remove_idle_groups(home, shard);
    }
}

fn forget_old_offsets(home: &Home, shard: &Shard) {
    let now_ms = shard.world.wall_ms();
    let retention_ms = i64::try_from(home.settings.retention.as_millis()).unwrap_or(i64::MAX);
    let old: Vec<(Rc<str>, Vec<Place>)> = home
        .groups
        .borrow()
        .iter()
        .map(|(id, group)| (Rc::clone(id), outdated(group, now_ms, retention_ms)))
        .filter(|(_, places)| !places.is_empty())
        .collect();
    for (id, places) in old {
        tracing::info!(group = %id, offsets = places.len(), "offsets that were not used for long are forgotten");
        forget(home, shard, &id, places, None);
    }
}

/// The offsets of a group that nobody needs any more (KIP-211).
fn outdated(group: &Group, now_ms: i64, retention_ms: i64) -> Vec<Place> {
    let is_over = |since_ms: i64| now_ms.saturating_sub(since_ms) >= retention_ms;
    let classic = match &group.kind {
        Kind::Classic(classic) => classic,
        Kind::Consumer(consumer) => {
            let due = |topic: &str, committed: &Committed| {
                let used_ms = match consumer.state() {
                    consumer::State::Empty => committed.commit_ms.max(consumer.empty_since_ms()),
                    _ => committed.commit_ms,
                };
                !consumer.is_subscribed(topic) && is_over(used_ms)
            };
            return due_places(group, due);
        }
    };
    let due = |topic: &str, committed: &Committed| match committed.expire_ms {
        Some(expire_ms) => now_ms >= expire_ms && classic.state() == State::Empty,
        None => match (classic.state(), classic.protocol_type()) {
            // Nobody was ever a member: somebody keeps offsets here by hand.
            (State::Empty, None) => is_over(committed.commit_ms),
            (State::Empty, Some(_)) => is_over(committed.commit_ms.max(classic.state_since_ms())),
            (State::Stable, Some(_)) => {
                classic.is_subscribed(topic) == Some(false) && is_over(committed.commit_ms)
            }
            _ => false,
        },
    };
    due_places(group, due)
}

fn due_places(group: &Group, due: impl Fn(&str, &Committed) -> bool) -> Vec<Place> {
    group.offsets.places().filter(|((topic, _), one)| due(topic, one)).map(|(at, _)| at).collect()
}

fn remove_idle_groups(home: &Home, shard: &Shard) {
    let kept_ms = i64::try_from(EMPTY_KEPT.as_millis()).unwrap_or(i64::MAX);
    let before_ms = shard.world.wall_ms().saturating_sub(kept_ms);
    let idle: Vec<Rc<str>> = home
        .groups
        .borrow()
        .iter()
        .filter(|(_, group)| {
            let since_ms = match &group.kind {
                Kind::Classic(classic) => classic.state_since_ms(),
                Kind::Consumer(consumer) => consumer.empty_since_ms(),
            };
            group.kind.is_idle() && group.offsets.is_empty() && since_ms <= before_ms
        })
        .map(|(id, _)| Rc::clone(id))
        .collect();
    for id in idle {
        remove(home, shard, &id, None);
    }
}

/// Removes a group with all that is known of it. Whether it may go was looked at before.
pub(super) fn remove(home: &Home, shard: &Shard, id: &Rc<str>, done: Option<Done>) {
    let groups = home.groups.borrow();
    let group = groups.get(id);
    let places = group.into_iter().flat_map(|group| group.offsets.places());
    let places: Vec<Place> = places.map(|(place, _)| place).collect();
    let mut lines = take_back(id, &places);
    match group.map(|group| (&group.kind, group.recorded)) {
        Some((Kind::Classic(_), true)) => lines.take_back(GroupKey::Group { group: id }),
        Some((Kind::Consumer(consumer), _)) => consumer.take_back(&mut lines),
        Some((Kind::Classic(_), false)) | None => Ok(()),
    }
    .expect("ids that a record carried");
    drop(groups);
    let then = Then::Removed { group: Rc::clone(id), places, done };
    if lines.is_empty() {
        home.settle_at_once(shard, then);
    } else {
        home.put(shard, lines, then);
    }
}

/// Forgets some offsets of a group.
pub(super) fn forget(
    home: &Home,
    shard: &Shard,
    id: &Rc<str>,
    places: Vec<Place>,
    done: Option<Done>,
) {
    let lines = take_back(id, &places);
    let changes = places.into_iter().map(|(topic, index)| (topic, index, None)).collect();
    home.put(shard, lines, Then::Offsets { group: Rc::clone(id), changes, done });
}

fn take_back(id: &str, places: &[Place]) -> Lines {
    let mut lines = Lines::default();
    for (topic, partition) in places {
        lines
            .take_back(GroupKey::Offset { group: id, topic, partition: *partition })
            .expect("names that a record carried");
    }
    lines
}

/// A topic is gone: what was read of it counts for no other topic that may get its name.
pub(super) fn forget_topic(home: &Home, shard: &Shard, name: &str) {
    let read: Vec<(Rc<str>, Vec<Place>)> = home
        .groups
        .borrow()
        .iter()
        .map(|(id, group)| {
            let places = group.offsets.places().map(|(place, _)| place);
            (Rc::clone(id), places.filter(|(topic, _)| **topic == *name).collect::<Vec<_>>())
        })
        .filter(|(_, places)| !places.is_empty())
        .collect();
    for (id, places) in read {
        forget(home, shard, &id, places, None);
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use protocol::kafka::group_log::{GroupMetadataValue, MemberMetadata};
    use runtime::Nanos;

    use super::super::classic::{Classic, Now, Rules};
    use super::*;

    const DAY_MS: i64 = 86_400_000;

    fn rules() -> Rc<Rules> {
        Rc::new(Rules { initial_delay: Duration::ZERO, size_max: 9 })
    }

    fn committed(commit_ms: i64, expire_ms: Option<i64>) -> Committed {
        Committed { offset: 1, leader_epoch: -1, metadata: Box::from(""), commit_ms, expire_ms }
    }

    /// A group as a record tells of it, in its state since day 3, with offsets of `t` and `u` from day 1 and day 5.
    fn group(protocol_type: &str, members: Vec<MemberMetadata<'_>>) -> Group {
        let now = Now { at: Nanos::ZERO, wall_ms: 3 * DAY_MS };
        let value = GroupMetadataValue {
            protocol_type,
            protocol: Some("range"),
            current_state_timestamp: 3 * DAY_MS,
            members,
            ..GroupMetadataValue::default()
        };
        let mut group = Group::new(&rules(), now);
        group.kind = Kind::Classic(Box::new(Classic::restore(rules(), &value, now)));
        group.offsets.set("t", 0, Some(committed(DAY_MS, None)));
        group.offsets.set("u", 0, Some(committed(5 * DAY_MS, None)));
        group
    }

    fn forgotten(group: &Group, day: i64) -> Vec<String> {
        let places = outdated(group, day * DAY_MS, 7 * DAY_MS).into_iter();
        places.map(|(topic, _)| topic.as_ref().to_owned()).collect()
    }

    #[test]
    fn offsets_are_forgotten_a_week_after_anybody_needed_them() {
        // Kept by hand: each a week after its commit.
        let by_hand = group("", vec![]);
        assert_eq!(forgotten(&by_hand, 7), [""; 0]);
        assert_eq!(forgotten(&by_hand, 8), ["t"]);
        assert_eq!(forgotten(&by_hand, 12), ["t", "u"]);
        // A group that lost its members on day 3: not before a week after that.
        let empty = group("consumer", vec![]);
        assert_eq!(forgotten(&empty, 9), [""; 0]);
        assert_eq!(forgotten(&empty, 10), ["t"]);
        assert_eq!(forgotten(&empty, 12), ["t", "u"]);
        // Members that read `t` keep its offset for ever; that of `u` goes.
        let member = MemberMetadata {
            member_id: "m",
            session_timeout: 10_000,
            subscription: b"\0\0\0\0\0\x01\0\x01t",
            ..MemberMetadata::default()
        };
        assert_eq!(forgotten(&group("consumer", vec![member.clone()]), 100), ["u"]);
        // What members of another kind read is not known.
        assert_eq!(forgotten(&group("connect", vec![member]), 100), [""; 0]);
    }

    #[test]
    fn an_old_clients_own_time_counts() {
        let mut group = group("consumer", vec![]);
        group.offsets.set("t", 0, Some(committed(DAY_MS, Some(2 * DAY_MS))));
        assert_eq!(forgotten(&group, 1), [""; 0]);
        assert_eq!(forgotten(&group, 2), ["t"]);
    }
}

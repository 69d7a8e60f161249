//! What members of KIP-848 groups ask, and how a group without members goes from one protocol to the other.

use std::rc::Rc;
use std::time::Duration;

use protocol::metadata::Image;
use protocol::{ErrorCode, TopicId};
use uuid::Builder;

use super::at_home;
use super::classic::Classic;
use super::consumer::{Beat, Consumer, Partitions, Refusal, Told, Topics};
use super::home::{Group, Home, Kind, now};
use super::ledger::{Lines, Then};
use crate::shard::Shard;

/// A heartbeat, as it travels between shards. What is `None` has not changed.
#[derive(Debug, Clone)]
pub(crate) struct HeartbeatWish {
    pub(crate) group: String,
    /// Empty if the broker shall make one.
    pub(crate) member_id: String,
    pub(crate) epoch: i32,
    pub(crate) instance_id: Option<String>,
    pub(crate) rack_id: Option<String>,
    pub(crate) client_id: String,
    pub(crate) client_host: String,
    pub(crate) rebalance_timeout: Option<Duration>,
    pub(crate) names: Option<Vec<String>>,
    pub(crate) expression: Option<String>,
    pub(crate) assignor: Option<String>,
    pub(crate) owned: Option<Partitions>,
}

/// A member joins, lives, tells what has changed, or goes.
pub(crate) async fn heartbeat(shard: &Rc<Shard>, wish: HeartbeatWish) -> Told {
    let group = wish.group.clone();
    let told = at_home(shard, &group, move |there, home| {
        // Here, not in the future: heartbeats keep the order in which they came.
        let asked = ask(&there, &home, wish);
        async move {
            match asked {
                Ok(answer) => answer.await.map_err(|_closed| ErrorCode::NotCoordinator),
                Err(refusal) => Ok(Told::refused(refusal)),
            }
        }
    });
    told.await.unwrap_or_else(|code| Told::refused(code.into()))
}

fn ask(
    shard: &Shard,
    home: &Home,
    wish: HeartbeatWish,
) -> Result<runtime::sync::OneReceiver<Told>, Refusal> {
    let group = wish.group.clone();
    if wish.epoch == 0 {
        make_consumer(shard, home, &group)?;
    }
    let beat = to_beat(shard, home, wish);
    let image = shard.view.image();
    let (asker, answer) = home.await_beat();
    let asked = home.with_consumer(shard, &group, |consumer, now, out| {
        consumer.heartbeat(now, asker, beat, image.as_ref(), out);
    });
    asked.map_err(|code| Refusal {
        code,
        message: "There is no such group of the consumer protocol.",
    })?;
    Ok(answer)
}

fn to_beat(shard: &Shard, home: &Home, wish: HeartbeatWish) -> Beat {
    let text = |text: Option<String>| text.map(Rc::<str>::from);
    let member_id = if wish.member_id.is_empty() {
        let (high, low) = (u128::from(shard.world.random()), u128::from(shard.world.random()));
        let unique = Builder::from_random_bytes((high << 64 | low).to_be_bytes()).into_uuid();
        Rc::from(unique.to_string())
    } else {
        Rc::from(wish.member_id)
    };
    Beat {
        member_id,
        epoch: wish.epoch,
        instance_id: text(wish.instance_id),
        rack_id: text(wish.rack_id),
        client_id: Rc::from(wish.client_id),
        client_host: Rc::from(wish.client_host),
        rebalance_timeout: wish.rebalance_timeout,
        names: wish.names.map(|names| names.into_iter().map(Rc::from).collect()),
        expression: text(wish.expression),
        assignor: text(wish.assignor),
        owned: wish.owned,
        session: home.settings.consumer_rules.session,
        interval: home.settings.consumer_rules.interval,
    }
}

/// Makes sure that there is a KIP-848 group of this name. A classic one without members becomes one.
fn make_consumer(shard: &Shard, home: &Home, id: &str) -> Result<(), Refusal> {
    super::find_or_make(shard, home, id)?;
    let mut groups = home.groups.borrow_mut();
    let Some(group) = groups.get_mut(id) else { return Err(ErrorCode::GroupIdNotFound.into()) };
    match &group.kind {
        Kind::Consumer(_) => Ok(()),
        Kind::Classic(classic) if classic.is_idle() => {
            let rules = Rc::clone(&home.settings.consumer_rules);
            let new = Consumer::new(Rc::from(id), rules, group.recorded, now(shard));
            group.kind = Kind::Consumer(Box::new(new));
            Ok(())
        }
        Kind::Classic(_) => Err(Refusal {
            code: ErrorCode::GroupIdNotFound,
            message: "The group has members of the classic protocol.",
        }),
    }
}

/// Makes sure that a group, if it is there, can take members of the classic protocol. One of KIP-848 without members
/// becomes a classic one.
///
/// # Errors
/// It has members of the new protocol.
pub(super) fn make_classic(shard: &Shard, home: &Home, id: &str) -> Result<(), ErrorCode> {
    let mut lines = Lines::default();
    {
        let mut groups = home.groups.borrow_mut();
        let Some(Group { kind, .. }) = groups.get_mut(id) else { return Ok(()) };
        let Kind::Consumer(consumer) = kind else { return Ok(()) };
        if !consumer.is_idle() {
            return Err(ErrorCode::InconsistentGroupProtocol);
        }
        consumer.take_back(&mut lines).expect("ids that a record carried");
        *kind = Kind::Classic(Box::new(Classic::new(Rc::clone(&home.settings.rules), now(shard))));
    }
    // If this is not written, neither is what follows; and what follows counts for more, being later.
    let then = Then::Offsets { group: Rc::from(id), changes: Vec::new(), done: None };
    home.put(shard, lines, then);
    Ok(())
}

impl Topics for Image {
    fn version(&self) -> i64 {
        Image::version(self).get()
    }

    fn find(&self, name: &str) -> Option<(TopicId, u32)> {
        let topic = self.topic_by_name(name)?;
        Some((topic.id, u32::try_from(topic.partitions.len()).ok()?))
    }

    fn each(&self, visit: &mut dyn FnMut(&Rc<str>)) {
        for topic in self.topics() {
            visit(&topic.name);
        }
    }
}

//! What members of KIP-848 groups ask.

use std::rc::Rc;
use std::time::Duration;

use protocol::metadata::{Image, Resource};
use protocol::{ErrorCode, TopicId};
use uuid::Builder;

use super::consumer::{Beat, Partitions, Refusal, Told, Topics, check_expression};
use super::home::Home;
use super::{at_home, migration};
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
        // A request that is refused anyway must not change the group's protocol.
        if let Some(expression) = &wish.expression {
            check_expression(expression)?;
        }
        migration::make_consumer(shard, home, &group)?;
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
    let image = shard.view.image();
    // What is set for this group alone.
    let own = image.configs(&Resource::Group(wish.group));
    let millis = |name: &str, otherwise| {
        let set = own.and_then(|own| own.get(name)?.parse().ok());
        set.map_or(otherwise, Duration::from_millis)
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
        session: millis("consumer.session.timeout.ms", home.settings.consumer_rules.session),
        interval: millis("consumer.heartbeat.interval.ms", home.settings.consumer_rules.interval),
    }
}

impl Topics for Image {
    fn version(&self) -> i64 {
        Image::version(self).get()
    }

    fn find(&self, name: &str) -> Option<(TopicId, u32)> {
        let topic = self.topic_by_name(name)?;
        Some((topic.id, u32::try_from(topic.partitions.len()).ok()?))
    }

    fn name(&self, id: TopicId) -> Option<Rc<str>> {
        self.topic(id).map(|topic| Rc::clone(&topic.name))
    }

    fn each(&self, visit: &mut dyn FnMut(&Rc<str>)) {
        for topic in self.topics() {
            visit(&topic.name);
        }
    }
}

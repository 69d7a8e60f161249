//! A group that goes from the classic protocol to the new one, member by member, and back, without losing a record.

use std::io;

use tests::broker::{Broker, Kind, Plan};

use crate::member::{self, Client};
use crate::story::Story;
use crate::stream::Stream;
use crate::{end, must};

/// What it is called beside the clients.
pub(crate) const NAME: &str = "migration";

/// The first member; it is missing if any of those who follow is.
pub(crate) fn first() -> Client {
    let clients = member::changing();
    let missing = clients.iter().find_map(|client| client.missing);
    let mut first = clients[0].named(NAME);
    first.missing = missing;
    first
}

/// Two classic members; new ones come, the old ones go, and the broker is killed while both are in the group; then the
/// other way round.
pub(crate) fn live(
    story: &mut Story,
    broker: Broker,
    plan: &Plan,
    stream: Stream,
) -> io::Result<(Result<String, String>, Broker)> {
    let [confluent, java, java_848, confluent_848, aiokafka, kafka_python] = &member::changing();
    story.join_as(confluent)?;
    story.join_as(java)?;
    must!(broker, story.all_read(&[0, 1]));
    // The first of the new protocol takes the group over.
    story.join_as(java_848)?;
    must!(broker, story.all_read(&[0, 1, 2]));
    must!(broker, story.goes(0));
    story.join_as(confluent_848)?;
    must!(broker, story.all_read(&[1, 2, 3]));
    must!(broker, story.reaches(&stream.ends()?));
    broker.kill()?;
    let broker = Broker::start(plan)?;
    must!(broker, story.reaches(&stream.ends()?));
    must!(broker, story.goes(1));
    must!(broker, story.reaches(&stream.ends()?));
    // And back: the last of the new protocol leaves it to the others.
    story.join_as(aiokafka)?;
    must!(broker, story.all_read(&[2, 3, 4]));
    must!(broker, story.goes(2));
    story.join_as(kafka_python)?;
    must!(broker, story.all_read(&[3, 4, 5]));
    must!(broker, story.goes(3));
    must!(broker, story.all_read(&[4, 5]));
    must!(broker, story.reaches(&stream.ends()?));
    must!(broker, has_changed(plan));
    end(story, broker, plan, stream)
}

/// Whether the group really went both ways. Only our own broker's log says so.
fn has_changed(plan: &Plan) -> Result<(), String> {
    let log = std::fs::read_to_string(&plan.log).unwrap_or_default();
    let ways = ["goes over to the consumer protocol", "goes back to the classic protocol"];
    match ways.iter().find(|way| plan.kind == Kind::Corelog && !log.contains(**way)) {
        Some(way) => Err(format!("no group {way}")),
        None => Ok(()),
    }
}

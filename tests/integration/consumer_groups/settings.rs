//! What is set for one group alone: it is checked, listed, survives a kill, and its members are told.

use protocol::ErrorCode;
use protocol::kafka::Api;
use protocol::kafka::list_config_resources::{
    ListConfigResourcesRequest, ListConfigResourcesResponse,
};

use super::{Member, find, topic_id};
use crate::configs::{DELETE, SET, Told, change, describe, one};
use crate::wire::{Client, Server};

const GROUP: i8 = 32;
const INTERVAL: &str = "consumer.heartbeat.interval.ms";
const SESSION: &str = "consumer.session.timeout.ms";

fn listed(client: &mut Client) -> Vec<String> {
    let request = ListConfigResourcesRequest { resource_types: vec![GROUP] };
    let answer = client.ask(Api::ListConfigResources, 1, &request);
    let told = answer.read::<ListConfigResourcesResponse<'_>>();
    assert_eq!(told.error_code, ErrorCode::None);
    told.config_resources.iter().map(|one| one.resource_name.to_owned()).collect()
}

#[test]
fn a_group_has_settings_of_its_own() {
    let mut server = Server::start(&["--shards", "2"]);
    let mut client = server.connect();
    assert_eq!(client.create("t", 1, &[]), ErrorCode::None);
    find(&mut client, "g");
    let below = format!("group.{INTERVAL}=5000:5");
    let by_default: Told = (Some("5000".to_owned()), 5, vec![below.clone()]);
    assert_eq!(one(&mut client, GROUP, "g", INTERVAL), by_default);
    assert_eq!(listed(&mut client), [""; 0]);
    let mut set = |kind, key, value| change(&mut client, 1, (GROUP, "g"), &[(kind, key, value)]);
    assert_eq!(set(SET, INTERVAL, Some(" 7000 ")), ErrorCode::None);
    assert_eq!(set(SET, SESSION, Some("50000")), ErrorCode::None);
    for (key, value) in [
        (INTERVAL, "4999"),
        (INTERVAL, "15001"),
        (INTERVAL, "often"),
        (SESSION, "44999"),
        (SESSION, "60001"),
        ("retention.ms", "1"),
    ] {
        assert_eq!(set(SET, key, Some(value)), ErrorCode::InvalidConfig, "{key}={value}");
    }
    let nameless = change(&mut client, 1, (GROUP, ""), &[(SET, INTERVAL, Some("7000"))]);
    assert_eq!(nameless, ErrorCode::InvalidRequest);
    server.kill_and_restart();
    client = server.connect();
    find(&mut client, "g");
    let own: Told = (Some("7000".to_owned()), 8, vec![format!("{INTERVAL}=7000:8"), below]);
    assert_eq!(one(&mut client, GROUP, "g", INTERVAL), own);
    assert_eq!(listed(&mut client), ["g"]);
    if !server.is_kafka() {
        // There groups of kinds that are not known here have some, too.
        assert_eq!(describe(&mut client, 4, GROUP, "g").len(), 2);
    }
    let topic = topic_id(&mut client, "t");
    let (connection, holds) = (server.connect(), std::collections::BTreeSet::new());
    let mut member = Member { client: connection, group: "g", id: "m", topic, epoch: 0, holds };
    assert_eq!(member.say(&[]).interval_ms, 7000);
    assert_eq!(change(&mut client, 1, (GROUP, "g"), &[(DELETE, INTERVAL, None)]), ErrorCode::None);
    assert_eq!(one(&mut client, GROUP, "g", INTERVAL), by_default);
    // It counts at once, also for those who are in.
    assert_eq!(member.say(&[0]).interval_ms, 5000);
    assert_eq!(change(&mut client, 1, (GROUP, "g"), &[(DELETE, SESSION, None)]), ErrorCode::None);
    assert_eq!(listed(&mut client), [""; 0]);
}

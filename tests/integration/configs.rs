//! Configs are set, listed with where they come from, and taken away again.

use protocol::ErrorCode;
use protocol::kafka::Api;
use protocol::kafka::alter_configs::{self, AlterConfigsRequest, AlterConfigsResponse};
use protocol::kafka::describe_configs::{
    DescribeConfigsRequest, DescribeConfigsResource, DescribeConfigsResponse,
};
use protocol::kafka::incremental_alter_configs::{
    AlterConfigsResource, AlterableConfig, IncrementalAlterConfigsRequest,
    IncrementalAlterConfigsResponse,
};
use protocol::kafka::list_config_resources::{
    ListConfigResourcesRequest, ListConfigResourcesResponse,
};

use crate::wire::{Client, Server};

const TOPIC: i8 = 2;
const BROKER: i8 = 4;
pub(crate) const SET: i8 = 0;
pub(crate) const DELETE: i8 = 1;
const APPEND: i8 = 2;

/// What is told of one config: value, source, and synonyms as `name=value:source`.
pub(crate) type Told = (Option<String>, i8, Vec<String>);

pub(crate) fn describe(
    client: &mut Client,
    version: i16,
    kind: i8,
    name: &str,
) -> Vec<(String, Told)> {
    let resource = DescribeConfigsResource {
        resource_type: kind,
        resource_name: name,
        configuration_keys: None,
    };
    let request = DescribeConfigsRequest {
        resources: vec![resource],
        include_synonyms: true,
        include_documentation: version >= 3,
    };
    let answer = client.ask(Api::DescribeConfigs, version, &request);
    let body = answer.read::<DescribeConfigsResponse<'_>>();
    assert_eq!(body.results[0].error_code, ErrorCode::None);
    let told = body.results[0].configs.iter().map(|config| {
        assert_eq!(config.documentation.is_some(), version >= 3, "{}", config.name);
        let synonyms = config.synonyms.iter().map(|synonym| {
            format!("{}={}:{}", synonym.name, synonym.value.unwrap_or("null"), synonym.source)
        });
        let told = (config.value.map(str::to_owned), config.config_source, synonyms.collect());
        (config.name.to_owned(), told)
    });
    told.collect()
}

pub(crate) fn one(client: &mut Client, kind: i8, name: &str, key: &str) -> Told {
    let all = describe(client, 4, kind, name);
    all.into_iter().find(|(name, _)| name == key).expect("every config is listed").1
}

pub(crate) fn change(
    client: &mut Client,
    version: i16,
    target: (i8, &str),
    changes: &[(i8, &str, Option<&str>)],
) -> ErrorCode {
    let configs = changes
        .iter()
        .map(|&(config_operation, name, value)| AlterableConfig { name, config_operation, value })
        .collect();
    let resource =
        AlterConfigsResource { resource_type: target.0, resource_name: target.1, configs };
    let request =
        IncrementalAlterConfigsRequest { resources: vec![resource], validate_only: false };
    let answer = client.ask(Api::IncrementalAlterConfigs, version, &request);
    answer.read::<IncrementalAlterConfigsResponse<'_>>().responses[0].error_code
}

#[test]
fn a_topics_configs_are_all_listed_with_their_sources() {
    let server = Server::start(&[]);
    let mut client = server.connect();
    assert_eq!(client.create("t", 1, &[("segment.bytes", " 2097152 ")]), ErrorCode::None);
    for version in Api::DescribeConfigs.served() {
        let all = describe(&mut client, version, TOPIC, "t");
        assert_eq!(all.len(), 33, "version {version}");
    }
    let own = one(&mut client, TOPIC, "t", "segment.bytes");
    let synonyms = ["segment.bytes=2097152:1", "log.segment.bytes=1073741824:5"];
    assert_eq!(own, (Some("2097152".to_owned()), 1, synonyms.map(str::to_owned).to_vec()));
    let (value, source, _) = one(&mut client, TOPIC, "t", "retention.ms");
    assert_eq!((value.as_deref(), source), (Some("604800000"), 5));
}

#[test]
fn a_resource_named_often_is_described_once() {
    let server = Server::start(&[]);
    let mut client = server.connect();
    assert_eq!(client.create("t", 1, &[]), ErrorCode::None);
    let resource = DescribeConfigsResource {
        resource_type: TOPIC,
        resource_name: "t",
        configuration_keys: None,
    };
    let request = DescribeConfigsRequest {
        resources: vec![resource; 100],
        include_synonyms: true,
        include_documentation: true,
    };
    let answer = client.ask(Api::DescribeConfigs, 4, &request);
    let body = answer.read::<DescribeConfigsResponse<'_>>();
    assert_eq!(body.results[0].configs.len(), 33);
    assert!(body.results[1..].iter().all(|one| one.error_code == ErrorCode::InvalidRequest));
}

#[test]
fn configs_change_one_by_one_and_all_at_once() {
    let server = Server::start(&[]);
    let mut client = server.connect();
    assert_eq!(client.create("t", 1, &[]), ErrorCode::None);
    let topic = (TOPIC, "t");
    for version in Api::IncrementalAlterConfigs.served() {
        let value = format!("{}", 5_000 + i32::from(version));
        let set = [(SET, "retention.ms", Some(value.as_str()))];
        assert_eq!(change(&mut client, version, topic, &set), ErrorCode::None);
        assert_eq!(one(&mut client, TOPIC, "t", "retention.ms").0, Some(value));
    }
    let delete = [(DELETE, "retention.ms", None)];
    assert_eq!(change(&mut client, 1, topic, &delete), ErrorCode::None);
    assert_eq!(one(&mut client, TOPIC, "t", "retention.ms").1, 5);

    assert_eq!(change(&mut client, 1, topic, &[(SET, "retention.ms", Some("7"))]), ErrorCode::None);
    for version in Api::AlterConfigs.served() {
        let config = alter_configs::AlterableConfig { name: "retention.bytes", value: Some("9") };
        let resource = alter_configs::AlterConfigsResource {
            resource_type: TOPIC,
            resource_name: "t",
            configs: vec![config],
        };
        let request = AlterConfigsRequest { resources: vec![resource], validate_only: false };
        let answer = client.ask(Api::AlterConfigs, version, &request);
        let body = answer.read::<AlterConfigsResponse<'_>>();
        assert_eq!(body.responses[0].error_code, ErrorCode::None);
        assert_eq!(one(&mut client, TOPIC, "t", "retention.ms").1, 5, "replaced");
        assert_eq!(one(&mut client, TOPIC, "t", "retention.bytes").0.as_deref(), Some("9"));
    }
}

#[test]
fn wrong_configs_are_refused_with_the_code_that_clients_know() {
    let server = Server::start(&[]);
    let mut client = server.connect();
    assert_eq!(client.create("t", 1, &[]), ErrorCode::None);
    assert_eq!(client.create("u", 1, &[("nope", "1")]), ErrorCode::InvalidConfig);
    assert_eq!(client.create("u", 1, &[("segment.bytes", "1000")]), ErrorCode::InvalidConfig);
    let set = |key, value| (SET, key, value);
    let cases = [
        ((TOPIC, "t"), set("nope", Some("1")), ErrorCode::InvalidConfig),
        ((TOPIC, "t"), set("retention.ms", Some("x")), ErrorCode::InvalidConfig),
        ((TOPIC, "t"), set("retention.ms", None), ErrorCode::InvalidRequest),
        ((TOPIC, "t"), (APPEND, "retention.ms", Some("1")), ErrorCode::InvalidConfig),
        ((TOPIC, "missing"), set("retention.ms", Some("1")), ErrorCode::UnknownTopicOrPartition),
        ((TOPIC, ""), set("retention.ms", Some("1")), ErrorCode::InvalidRequest),
        ((TOPIC, "a b"), set("retention.ms", Some("1")), ErrorCode::InvalidTopicException),
        ((BROKER, "1"), set("num.partitions", Some("5")), ErrorCode::InvalidRequest),
        ((BROKER, ""), set("min.insync.replicas", Some("0")), ErrorCode::InvalidRequest),
        ((TOPIC, "t"), (9, "retention.ms", Some("1")), ErrorCode::InvalidRequest),
    ];
    for (target, operation, code) in cases {
        assert_eq!(change(&mut client, 1, target, &[operation]), code, "{target:?} {operation:?}");
    }
    let twice = [set("retention.ms", Some("1")), set("retention.ms", Some("2"))];
    assert_eq!(change(&mut client, 1, (TOPIC, "t"), &twice), ErrorCode::InvalidRequest);
    assert_eq!(one(&mut client, TOPIC, "t", "retention.ms").1, 5, "nothing was set");
}

#[test]
fn a_brokers_setting_counts_for_its_topics() {
    let server = Server::start(&[]);
    let mut client = server.connect();
    assert_eq!(client.create("t", 1, &[]), ErrorCode::None);
    let set = |value| [(SET, "log.segment.bytes", Some(value))];
    assert_eq!(change(&mut client, 1, (BROKER, ""), &set("3145728")), ErrorCode::None);
    let (value, source, _) = one(&mut client, TOPIC, "t", "segment.bytes");
    assert_eq!((value.as_deref(), source), (Some("3145728"), 3));
    assert_eq!(change(&mut client, 1, (BROKER, "1"), &set("4194304")), ErrorCode::None);
    let (value, source, synonyms) = one(&mut client, TOPIC, "t", "segment.bytes");
    assert_eq!((value.as_deref(), source), (Some("4194304"), 2));
    assert_eq!(synonyms[1], "log.segment.bytes=3145728:3");
    let listed = describe(&mut client, 4, BROKER, "");
    assert!(listed.iter().any(|(name, _)| name == "log.segment.bytes"));
    let port = server.plan.kafka.to_string();
    let (listeners, ..) = one(&mut client, BROKER, "1", "advertised.listeners");
    assert!(listeners.unwrap().contains(&port), "the broker says where it listens");
}

#[test]
fn resources_with_configs_are_listed() {
    let server = Server::start(&[]);
    let mut client = server.connect();
    assert_eq!(client.create("t", 1, &[]), ErrorCode::None);
    let mut list = |version, types: &[i8]| {
        let request = ListConfigResourcesRequest { resource_types: types.to_vec() };
        let answer = client.ask(Api::ListConfigResources, version, &request);
        let body = answer.read::<ListConfigResourcesResponse<'_>>();
        let names = body.config_resources.iter();
        let names: Vec<_> =
            names.map(|one| (one.resource_type, one.resource_name.to_owned())).collect();
        (body.error_code, names)
    };
    assert_eq!(list(1, &[TOPIC]), (ErrorCode::None, vec![(TOPIC, "t".to_owned())]));
    let (code, all) = list(1, &[]);
    assert_eq!(code, ErrorCode::None);
    assert!(all.contains(&(TOPIC, "t".to_owned())) && all.contains(&(BROKER, "1".to_owned())));
    assert_eq!(list(1, &[77]).0, ErrorCode::UnsupportedVersion);
    assert_eq!(list(0, &[]), (ErrorCode::None, vec![]));
}

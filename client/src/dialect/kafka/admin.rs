//! Topics and their settings: create, delete, grow, describe, alter, trim.

use protocol::error_code::ErrorCode;
use protocol::kafka::create_partitions::{CreatePartitionsRequest, CreatePartitionsTopic};
use protocol::kafka::create_topics::{CreatableTopic, CreatableTopicConfig, CreateTopicsRequest};
use protocol::kafka::delete_records::{
    DeleteRecordsPartition, DeleteRecordsRequest, DeleteRecordsTopic,
};
use protocol::kafka::delete_topics::{DeleteTopicState, DeleteTopicsRequest};
use protocol::kafka::describe_configs::{
    DescribeConfigsRequest, DescribeConfigsResource, DescribeConfigsResourceResult,
};
use protocol::kafka::incremental_alter_configs::{
    AlterConfigsResource, AlterableConfig, IncrementalAlterConfigsRequest,
};

use super::super::{ClientError, OffsetPart, Verdict};
use super::{Reply, Speaker};
use crate::admin::model::{ConfigChange, ConfigEntry, ConfigSource, NewTopic};

/// The kind of resource that a topic is.
const TOPIC: i8 = 2;
const SET: i8 = 0;
const DELETE: i8 = 1;

fn verdict(error: ErrorCode, message: Option<&str>) -> Verdict {
    Verdict { error, message: message.map(str::to_owned) }
}

impl Speaker {
    fn timeout_ms(&self) -> i32 {
        i32::try_from(self.shared.timeout.as_millis()).unwrap_or(i32::MAX)
    }

    /// An answer that does not speak of what was asked.
    fn silent(&self, about: &str) -> ClientError {
        self.channel().malformed(format!("the answer says nothing about {about:?}")).into()
    }

    pub(crate) async fn create_topic(&self, topic: &NewTopic) -> Result<Verdict, ClientError> {
        let configs = topic.configs.iter();
        let request = CreateTopicsRequest {
            topics: vec![CreatableTopic {
                name: &topic.name,
                num_partitions: topic.partitions.unwrap_or(-1),
                replication_factor: topic.replication_factor.unwrap_or(-1),
                assignments: Vec::new(),
                configs: configs
                    .map(|(name, value)| CreatableTopicConfig { name, value: Some(value) })
                    .collect(),
            }],
            timeout_ms: self.timeout_ms(),
            validate_only: topic.validate_only,
        };
        let reply = self.shared.ask(&request).await?;
        let body = self.shared.read(&reply, Reply::body)?;
        let answer = body.topics.iter().find(|answer| answer.name == topic.name);
        let answer = answer.ok_or_else(|| self.silent(&topic.name))?;
        Ok(verdict(answer.error_code, answer.error_message))
    }

    pub(crate) async fn delete_topic(&self, name: &str) -> Result<Verdict, ClientError> {
        let version = self.shared.version(protocol::kafka::Api::DeleteTopics)?;
        let by_state = version.number >= 6;
        let request = DeleteTopicsRequest {
            topics: if by_state {
                vec![DeleteTopicState { name: Some(name), ..Default::default() }]
            } else {
                Vec::new()
            },
            topic_names: if by_state { Vec::new() } else { vec![name] },
            timeout_ms: self.timeout_ms(),
        };
        let reply = self.shared.ask(&request).await?;
        let body = self.shared.read(&reply, Reply::body)?;
        let answer = body.responses.iter().find(|answer| answer.name == Some(name));
        let answer = answer.ok_or_else(|| self.silent(name))?;
        Ok(verdict(answer.error_code, answer.error_message))
    }

    pub(crate) async fn create_partitions(
        &self,
        name: &str,
        count: i32,
    ) -> Result<Verdict, ClientError> {
        let request = CreatePartitionsRequest {
            topics: vec![CreatePartitionsTopic { name, count, assignments: None }],
            timeout_ms: self.timeout_ms(),
            validate_only: false,
        };
        let reply = self.shared.ask(&request).await?;
        let body = self.shared.read(&reply, Reply::body)?;
        let answer = body.results.iter().find(|answer| answer.name == name);
        let answer = answer.ok_or_else(|| self.silent(name))?;
        Ok(verdict(answer.error_code, answer.error_message))
    }

    pub(crate) async fn describe_configs(
        &self,
        topic: &str,
    ) -> Result<Result<Vec<ConfigEntry>, Verdict>, ClientError> {
        let request = DescribeConfigsRequest {
            resources: vec![DescribeConfigsResource {
                resource_type: TOPIC,
                resource_name: topic,
                configuration_keys: None,
            }],
            include_synonyms: false,
            include_documentation: false,
        };
        let reply = self.shared.ask(&request).await?;
        let body = self.shared.read(&reply, Reply::body)?;
        let answer = body.results.iter().find(|answer| answer.resource_name == topic);
        let answer = answer.ok_or_else(|| self.silent(topic))?;
        if answer.error_code.is_error() {
            return Ok(Err(verdict(answer.error_code, answer.error_message)));
        }
        Ok(Ok(answer.configs.iter().map(entry).collect()))
    }

    pub(crate) async fn alter_configs(
        &self,
        topic: &str,
        changes: &[ConfigChange],
    ) -> Result<Verdict, ClientError> {
        let configs = changes.iter().map(|change| match change {
            ConfigChange::Set(name, value) => {
                AlterableConfig { name, config_operation: SET, value: Some(value) }
            }
            ConfigChange::Reset(name) => {
                AlterableConfig { name, config_operation: DELETE, value: None }
            }
        });
        let request = IncrementalAlterConfigsRequest {
            resources: vec![AlterConfigsResource {
                resource_type: TOPIC,
                resource_name: topic,
                configs: configs.collect(),
            }],
            validate_only: false,
        };
        let reply = self.shared.ask(&request).await?;
        let body = self.shared.read(&reply, Reply::body)?;
        let answer = body.responses.iter().find(|answer| answer.resource_name == topic);
        let answer = answer.ok_or_else(|| self.silent(topic))?;
        Ok(verdict(answer.error_code, answer.error_message))
    }

    pub(crate) async fn delete_records(
        &self,
        part: &OffsetPart,
        offset: i64,
    ) -> Result<Result<i64, Verdict>, ClientError> {
        let partition = DeleteRecordsPartition { partition_index: part.partition, offset };
        let request = DeleteRecordsRequest {
            topics: vec![DeleteRecordsTopic {
                name: &part.topic.name,
                partitions: vec![partition],
            }],
            timeout_ms: self.timeout_ms(),
        };
        let reply = self.shared.ask(&request).await?;
        let body = self.shared.read(&reply, Reply::body)?;
        let mut answers = body.topics.iter().flat_map(|topic| &topic.partitions);
        let answer = answers.find(|answer| answer.partition_index == part.partition);
        let answer = answer.ok_or_else(|| self.silent(&part.topic.name))?;
        if answer.error_code.is_error() {
            return Ok(Err(verdict(answer.error_code, None)));
        }
        Ok(Ok(answer.low_watermark))
    }
}

fn entry(config: &DescribeConfigsResourceResult<'_>) -> ConfigEntry {
    ConfigEntry {
        name: config.name.to_owned(),
        value: config.value.map(str::to_owned),
        source: match config.config_source {
            1 => ConfigSource::Topic,
            2..=4 => ConfigSource::Broker,
            5 => ConfigSource::Default,
            _ => ConfigSource::Unknown,
        },
        is_read_only: config.read_only,
        is_sensitive: config.is_sensitive,
    }
}

//! Topics and their settings: create, delete, grow, describe, alter, trim.

use protocol::native::configs::{
    AlterConfigs, Change, Changes, DescribeAnswerView, DescribeConfigs, Query, Resource,
};
use protocol::native::offsets::{DeleteRecords, Deletion};
use protocol::native::topics::{CreatePartitions, CreateTopics, DeleteTopics, TopicRef};
use protocol::native::{Encoder, FrameError, Kind, outcomes, topics};

use super::super::{ClientError, OffsetPart, Verdict};
use super::{Speaker, text, wire_partition};
use crate::admin::model::{ConfigChange, ConfigEntry, ConfigSource, NewTopic};

impl Speaker {
    pub(crate) async fn create_topic(&self, topic: &NewTopic) -> Result<Verdict, ClientError> {
        let configs: Vec<(&str, &str)> =
            topic.configs.iter().map(|(name, value)| (&**name, &**value)).collect();
        let topics = [topics::NewTopic {
            name: &topic.name,
            partitions: topic.partitions.unwrap_or(-1),
            replicas: topic.replication_factor.unwrap_or(-1),
            configs: &configs,
        }];
        let timeout_ms = self.timeout_ms();
        let request = CreateTopics { topics: &topics, timeout_ms, dry_run: topic.validate_only };
        self.one(Kind::CreateTopics, |correlation, encoder| request.encode(correlation, encoder))
            .await
            .map(|(verdict, _)| verdict)
    }

    pub(crate) async fn delete_topic(&self, name: &str) -> Result<Verdict, ClientError> {
        let topics = [TopicRef::Name(name)];
        let request = DeleteTopics { topics: &topics, timeout_ms: self.timeout_ms() };
        self.one(Kind::DeleteTopics, |correlation, encoder| request.encode(correlation, encoder))
            .await
            .map(|(verdict, _)| verdict)
    }

    pub(crate) async fn create_partitions(
        &self,
        name: &str,
        count: i32,
    ) -> Result<Verdict, ClientError> {
        let topics = [(name, count)];
        let timeout_ms = self.timeout_ms();
        let request = CreatePartitions { topics: &topics, timeout_ms, dry_run: false };
        let kind = Kind::CreatePartitions;
        self.one(kind, |correlation, encoder| request.encode(correlation, encoder))
            .await
            .map(|(verdict, _)| verdict)
    }

    pub(crate) async fn describe_configs(
        &self,
        topic: &str,
    ) -> Result<Result<Vec<ConfigEntry>, Verdict>, ClientError> {
        let resources = [Query { resource: Resource::Topic(topic), keys: &[] }];
        let request = DescribeConfigs { resources: &resources };
        let answer = self.ask(|correlation, encoder| request.encode(correlation, encoder)).await?;
        let frame = self.frame(&answer)?;
        let view = self.read(DescribeAnswerView::read(&frame))?;
        let Some(described) = view.resources().next() else {
            return Err(self.channel().malformed("an answer about no resource").into());
        };
        if described.error().is_error() {
            let message = text(described.message());
            return Ok(Err(Verdict { error: described.error(), message }));
        }
        let entries = described.entries().map(|entry| ConfigEntry {
            name: entry.name.to_owned(),
            value: entry.value.map(str::to_owned),
            source: match entry.source {
                1 => ConfigSource::Topic,
                2..=4 => ConfigSource::Broker,
                5 => ConfigSource::Default,
                _ => ConfigSource::Unknown,
            },
            is_read_only: entry.read_only,
            is_sensitive: entry.sensitive,
        });
        Ok(Ok(entries.collect()))
    }

    pub(crate) async fn alter_configs(
        &self,
        topic: &str,
        changes: &[ConfigChange],
    ) -> Result<Verdict, ClientError> {
        let changes: Vec<(&str, Change<'_>)> = changes
            .iter()
            .map(|change| match change {
                ConfigChange::Set(name, value) => (&**name, Change::Set(value)),
                ConfigChange::Reset(name) => (&**name, Change::Delete),
            })
            .collect();
        let resources = [Changes { resource: Resource::Topic(topic), changes: &changes }];
        let request = AlterConfigs { resources: &resources, dry_run: false };
        self.one(Kind::AlterConfigs, |correlation, encoder| request.encode(correlation, encoder))
            .await
            .map(|(verdict, _)| verdict)
    }

    pub(crate) async fn delete_records(
        &self,
        part: &OffsetPart,
        offset: i64,
    ) -> Result<Result<i64, Verdict>, ClientError> {
        let partition = wire_partition(&part.topic, part.partition);
        let entries = [Deletion { partition, before: offset }];
        let request = DeleteRecords { entries: &entries, timeout_ms: self.timeout_ms() };
        let kind = Kind::DeleteRecords;
        let (verdict, start) =
            self.one(kind, |correlation, encoder| request.encode(correlation, encoder)).await?;
        Ok(if verdict.error.is_error() { Err(verdict) } else { Ok(start) })
    }

    /// A request about one thing: its verdict, and the log start that it may tell.
    async fn one(
        &self,
        kind: Kind,
        encode: impl for<'e> FnOnce(u64, &'e mut Encoder) -> Result<&'e [u8], FrameError>,
    ) -> Result<(Verdict, i64), ClientError> {
        let answer = self.ask(encode).await?;
        let frame = self.frame(&answer)?;
        let view = self.read(outcomes::AnswerView::read(&frame, kind))?;
        let Some(outcome) = view.outcomes().next() else {
            return Err(self.channel().malformed("an answer without an outcome").into());
        };
        let verdict = Verdict { error: outcome.error, message: text(outcome.message) };
        Ok((verdict, outcome.log_start_offset))
    }
}

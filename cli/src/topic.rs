//! `corelog topic`: create, list, describe, alter, delete.

use std::io::Write;

use clap::{Args, Subcommand};
use client::{
    Admin, ClientError, Cluster, ConfigChange, ConfigSource, ErrorCode, NewTopic, OffsetQuery,
};
use comfy_table::{ContentArrangement, Table, presets};

use crate::args::ClusterArgs;
use crate::error::CliError;
use crate::reach::{cluster_config, with_cluster};

/// What to do with topics.
#[derive(Debug, Subcommand)]
pub(crate) enum TopicCommand {
    /// Create a topic.
    #[command(after_help = "\
Examples:
  corelog topic create orders
  corelog topic create orders --partitions 16 --set retention.ms=86400000
  corelog topic create orders --if-not-exists")]
    Create(CreateArgs),
    /// List topics.
    #[command(after_help = "\
Examples:
  corelog topic list
  corelog topic list --json | jq -r .name")]
    List(ListArgs),
    /// Show a topic's partitions, offsets and settings.
    #[command(after_help = "\
Examples:
  corelog topic describe orders
  corelog topic describe orders --all")]
    Describe(DescribeArgs),
    /// Change a topic's settings or give it more partitions.
    #[command(after_help = "\
Examples:
  corelog topic alter orders --set retention.ms=3600000
  corelog topic alter orders --reset retention.ms
  corelog topic alter orders --partitions 32")]
    Alter(AlterArgs),
    /// Delete topics with all their records.
    #[command(after_help = "\
Examples:
  corelog topic delete orders
  corelog topic delete orders payments --if-exists")]
    Delete(DeleteArgs),
}

/// `topic create`.
#[derive(Debug, Args)]
pub(crate) struct CreateArgs {
    /// The topic's name: letters, digits, '.', '_' and '-'.
    name: String,
    /// How many partitions [default: the broker's].
    #[arg(long, short, value_name = "COUNT", value_parser = clap::value_parser!(i32).range(1..))]
    partitions: Option<i32>,
    /// How many copies of each partition [default: the broker's].
    #[arg(long, short, value_name = "COUNT", value_parser = clap::value_parser!(i16).range(1..))]
    replication_factor: Option<i16>,
    /// A setting by Kafka's name; may be given more than once.
    #[arg(long = "set", short = 's', value_name = "KEY=VALUE", value_parser = key_value)]
    settings: Vec<(String, String)>,
    /// Succeed if the topic is there already.
    #[arg(long)]
    if_not_exists: bool,
    #[command(flatten)]
    cluster: ClusterArgs,
}

/// `topic list`.
#[derive(Debug, Args)]
pub(crate) struct ListArgs {
    /// Show topics of the system itself, too.
    #[arg(long)]
    internal: bool,
    /// One JSON object per line.
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    cluster: ClusterArgs,
}

/// `topic describe`.
#[derive(Debug, Args)]
pub(crate) struct DescribeArgs {
    /// The topics' names.
    #[arg(required = true, value_name = "NAME")]
    names: Vec<String>,
    /// Show every setting, not only those that the topic sets itself.
    #[arg(long)]
    all: bool,
    /// One JSON object per topic and line.
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    cluster: ClusterArgs,
}

/// `topic alter`.
#[derive(Debug, Args)]
#[command(group = clap::ArgGroup::new("change").required(true).multiple(true))]
pub(crate) struct AlterArgs {
    /// The topic's name.
    name: String,
    /// Set a setting; may be given more than once.
    #[arg(long = "set", short = 's', value_name = "KEY=VALUE", value_parser = key_value, group = "change")]
    settings: Vec<(String, String)>,
    /// Give a setting its default back; may be given more than once.
    #[arg(long, value_name = "KEY", group = "change")]
    reset: Vec<String>,
    /// Grow to this many partitions. Keys then go to other partitions than before.
    #[arg(long, short, value_name = "COUNT", group = "change", value_parser = clap::value_parser!(i32).range(1..))]
    partitions: Option<i32>,
    #[command(flatten)]
    cluster: ClusterArgs,
}

/// `topic delete`.
#[derive(Debug, Args)]
pub(crate) struct DeleteArgs {
    /// The topics' names.
    #[arg(required = true, value_name = "NAME")]
    names: Vec<String>,
    /// Succeed if a topic is not there.
    #[arg(long)]
    if_exists: bool,
    #[command(flatten)]
    cluster: ClusterArgs,
}

impl TopicCommand {
    fn cluster(&self) -> &ClusterArgs {
        match self {
            Self::Create(args) => &args.cluster,
            Self::List(args) => &args.cluster,
            Self::Describe(args) => &args.cluster,
            Self::Alter(args) => &args.cluster,
            Self::Delete(args) => &args.cluster,
        }
    }
}

/// Runs the command and writes what it says to `out`.
pub(crate) fn run(command: TopicCommand, out: &mut dyn Write) -> Result<(), CliError> {
    let config = cluster_config(command.cluster())?;
    with_cluster(config, async |cluster: Cluster| match command {
        TopicCommand::Create(args) => create(&cluster, args, out).await,
        TopicCommand::List(args) => list(&cluster, &args, out).await,
        TopicCommand::Describe(args) => describe(&cluster, &args, out).await,
        TopicCommand::Alter(args) => alter(&cluster, args, out).await,
        TopicCommand::Delete(args) => delete(&cluster, &args, out).await,
    })
}

async fn create(cluster: &Cluster, args: CreateArgs, out: &mut dyn Write) -> Result<(), CliError> {
    let topic = NewTopic {
        name: args.name,
        partitions: args.partitions,
        replication_factor: args.replication_factor,
        configs: args.settings,
        validate_only: false,
    };
    match Admin::new(cluster).create_topic(&topic).await {
        Ok(()) => say(out, &format!("created topic {}", topic.name)),
        Err(ClientError::Refused { code: ErrorCode::TopicAlreadyExists, .. })
            if args.if_not_exists =>
        {
            say(out, &format!("topic {} is there already", topic.name))
        }
        Err(error) => Err(error.into()),
    }
}

async fn list(cluster: &Cluster, args: &ListArgs, out: &mut dyn Write) -> Result<(), CliError> {
    let mut topics = Admin::new(cluster).list_topics().await?;
    topics.retain(|topic| args.internal || !topic.is_internal);
    if args.json {
        for topic in &topics {
            let line = serde_json::json!({
                "name": topic.name,
                "id": topic.id.to_string(),
                "partitions": topic.partition_count,
                "internal": topic.is_internal,
            });
            say(out, &line.to_string())?;
        }
        return Ok(());
    }
    let mut table = new_table(&["TOPIC", "PARTITIONS", "ID"]);
    for topic in &topics {
        let cells = [topic.name.clone(), topic.partition_count.to_string(), topic.id.to_string()];
        table.add_row(cells);
    }
    say(out, &table.trim_fmt())
}

async fn describe(
    cluster: &Cluster,
    args: &DescribeArgs,
    out: &mut dyn Write,
) -> Result<(), CliError> {
    let admin = Admin::new(cluster);
    for name in &args.names {
        let view = admin.describe_topic(name).await?;
        let mut ends = Vec::new();
        for partition in &view.partitions {
            let offset = async |query| {
                let found = admin.list_offset(name, partition.index, query).await;
                // A partition without a leader has no offsets to tell, and is described all the same.
                found.ok().and_then(|found| found.offset)
            };
            ends.push((offset(OffsetQuery::Earliest).await, offset(OffsetQuery::Latest).await));
        }
        let mut configs = admin.describe_configs(name).await?;
        configs.retain(|config| args.all || config.source == ConfigSource::Topic);
        if args.json {
            say(out, &describe_json(&view, &ends, &configs).to_string())?;
        } else {
            say(out, &describe_text(&view, &ends, &configs))?;
        }
    }
    Ok(())
}

type Ends = (Option<i64>, Option<i64>);

fn describe_json(
    view: &client::TopicView,
    ends: &[Ends],
    configs: &[client::ConfigEntry],
) -> serde_json::Value {
    let partitions: Vec<serde_json::Value> = view
        .partitions
        .iter()
        .zip(ends)
        .map(|(partition, (start, end))| {
            serde_json::json!({
                "partition": partition.index,
                "leader": partition.leader,
                "leader_epoch": partition.leader_epoch,
                "replicas": partition.replicas,
                "in_sync": partition.in_sync,
                "start_offset": start,
                "end_offset": end,
            })
        })
        .collect();
    let configs: serde_json::Map<String, serde_json::Value> =
        configs.iter().map(|config| (config.name.clone(), config.value.clone().into())).collect();
    serde_json::json!({
        "name": view.name(),
        "id": view.id().to_string(),
        "internal": view.is_internal,
        "partitions": partitions,
        "configs": configs,
    })
}

fn describe_text(
    view: &client::TopicView,
    ends: &[Ends],
    configs: &[client::ConfigEntry],
) -> String {
    let number = |number: Option<i64>| number.map_or_else(|| "-".to_owned(), |it| it.to_string());
    let list = |ids: &[i32]| ids.iter().map(ToString::to_string).collect::<Vec<String>>().join(",");
    let mut table =
        new_table(&["PARTITION", "LEADER", "EPOCH", "REPLICAS", "IN SYNC", "START", "END"]);
    for (partition, (start, end)) in view.partitions.iter().zip(ends) {
        table.add_row([
            partition.index.to_string(),
            number(partition.leader.map(i64::from)),
            partition.leader_epoch.to_string(),
            list(&partition.replicas),
            list(&partition.in_sync),
            number(*start),
            number(*end),
        ]);
    }
    let mut text = format!("topic {}  id {}\n{}", view.name(), view.id(), table.trim_fmt());
    if !configs.is_empty() {
        let mut table = new_table(&["SETTING", "VALUE", "FROM"]);
        for config in configs {
            let source = match config.source {
                ConfigSource::Topic => "topic",
                ConfigSource::Broker => "broker",
                ConfigSource::Default => "default",
                ConfigSource::Unknown => "?",
            };
            let value = config.value.clone().unwrap_or_else(|| "-".to_owned());
            table.add_row([config.name.clone(), value, source.to_owned()]);
        }
        text.push_str(&format!("\n{}", table.trim_fmt()));
    }
    text
}

async fn alter(cluster: &Cluster, args: AlterArgs, out: &mut dyn Write) -> Result<(), CliError> {
    let admin = Admin::new(cluster);
    let set = args.settings.into_iter().map(|(key, value)| ConfigChange::Set(key, value));
    let reset = args.reset.into_iter().map(ConfigChange::Reset);
    let changes: Vec<ConfigChange> = set.chain(reset).collect();
    if !changes.is_empty() {
        admin.alter_configs(&args.name, &changes).await?;
        say(out, &format!("changed {} settings of topic {}", changes.len(), args.name))?;
    }
    if let Some(count) = args.partitions {
        admin.create_partitions(&args.name, count).await?;
        say(out, &format!("topic {} has {count} partitions", args.name))?;
    }
    Ok(())
}

async fn delete(cluster: &Cluster, args: &DeleteArgs, out: &mut dyn Write) -> Result<(), CliError> {
    let admin = Admin::new(cluster);
    for name in &args.names {
        match admin.delete_topic(name).await {
            Ok(()) => say(out, &format!("deleted topic {name}"))?,
            Err(ClientError::NoSuchTopic(_)) if args.if_exists => {
                say(out, &format!("topic {name} is not there"))?;
            }
            Err(error) => return Err(error.into()),
        }
    }
    Ok(())
}

/// `KEY=VALUE`; the value may be empty and may hold more `=`.
pub(crate) fn key_value(text: &str) -> Result<(String, String), String> {
    match text.split_once('=') {
        Some((key, value)) if !key.is_empty() => Ok((key.to_owned(), value.to_owned())),
        Some(_) | None => Err("write KEY=VALUE".to_owned()),
    }
}

pub(crate) fn new_table(header: &[&str]) -> Table {
    let mut table = Table::new();
    table.load_preset(presets::NOTHING).set_content_arrangement(ContentArrangement::Disabled);
    table.set_header(header);
    for column in table.column_iter_mut() {
        column.set_padding((0, 2));
    }
    table
}

pub(crate) fn say(out: &mut dyn Write, line: &str) -> Result<(), CliError> {
    writeln!(out, "{line}").map_err(CliError::Stdout)
}

//! `corelog group`: list, describe, reset, delete.

use std::collections::BTreeMap;
use std::io::Write;

use clap::{Args, Subcommand};
use client::{Admin, Cluster, GroupOffset, GroupView, OffsetQuery};

use crate::args::ClusterArgs;
use crate::consume::Start;
use crate::error::CliError;
use crate::instant::Moment;
use crate::reach::{cluster_config, with_cluster};
use crate::topic::{new_table, say};

/// What to do with consumer groups.
#[derive(Debug, Subcommand)]
pub(crate) enum GroupCommand {
    /// List groups.
    #[command(after_help = "\
Examples:
  corelog group list
  corelog group list --json | jq -r .group")]
    List(ListArgs),
    /// Show a group's members, and for each partition how far it has read and how much is left.
    #[command(after_help = "\
Examples:
  corelog group describe billing
  corelog group describe billing --json")]
    Describe(DescribeArgs),
    /// Set how far a group has read. Its members must have stopped.
    #[command(after_help = "\
Examples:
  corelog group reset billing --topic orders --to earliest
  corelog group reset billing --topic orders --partition 3 --to 1200
  corelog group reset billing --topic orders --to -100 --dry-run
  corelog group reset billing --topic orders --since 2h")]
    Reset(ResetArgs),
    /// Forget groups and how far they have read. Their members must have stopped.
    #[command(after_help = "\
Examples:
  corelog group delete billing")]
    Delete(DeleteArgs),
}

/// `group list`.
#[derive(Debug, Args)]
pub(crate) struct ListArgs {
    /// One JSON object per line.
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    cluster: ClusterArgs,
}

/// `group describe`.
#[derive(Debug, Args)]
pub(crate) struct DescribeArgs {
    /// The groups' names.
    #[arg(required = true, value_name = "NAME")]
    names: Vec<String>,
    /// One JSON object per group and line.
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    cluster: ClusterArgs,
}

/// `group reset`.
#[derive(Debug, Args)]
#[command(group = clap::ArgGroup::new("where").required(true))]
pub(crate) struct ResetArgs {
    /// The group's name.
    name: String,
    /// The topic.
    #[arg(long, short, value_name = "NAME")]
    topic: String,
    /// Only this partition; may be given more than once [default: all].
    #[arg(long, short, value_name = "NUMBER", value_parser = clap::value_parser!(i32).range(0..))]
    partition: Vec<i32>,
    /// Read on from here: earliest, latest, an offset, or -N for the last N of each partition.
    #[arg(long, value_name = "WHERE", allow_hyphen_values = true, group = "where")]
    to: Option<Start>,
    /// Read on from the first record of this time: 2026-03-01T12:00:00Z, or how long ago (15m).
    #[arg(long, value_name = "TIME", group = "where")]
    since: Option<Moment>,
    /// Only say what would be set.
    #[arg(long)]
    dry_run: bool,
    #[command(flatten)]
    cluster: ClusterArgs,
}

/// `group delete`.
#[derive(Debug, Args)]
pub(crate) struct DeleteArgs {
    /// The groups' names.
    #[arg(required = true, value_name = "NAME")]
    names: Vec<String>,
    #[command(flatten)]
    cluster: ClusterArgs,
}

impl GroupCommand {
    fn cluster(&self) -> &ClusterArgs {
        match self {
            Self::List(args) => &args.cluster,
            Self::Describe(args) => &args.cluster,
            Self::Reset(args) => &args.cluster,
            Self::Delete(args) => &args.cluster,
        }
    }
}

/// Runs the command and writes what it says to `out`.
pub(crate) fn run(command: GroupCommand, out: &mut dyn Write) -> Result<(), CliError> {
    let config = cluster_config(command.cluster())?;
    with_cluster(config, async |cluster: Cluster| match command {
        GroupCommand::List(args) => list(&cluster, &args, out).await,
        GroupCommand::Describe(args) => describe(&cluster, &args, out).await,
        GroupCommand::Reset(args) => reset(&cluster, &args, out).await,
        GroupCommand::Delete(args) => delete(&cluster, &args, out).await,
    })
}

async fn list(cluster: &Cluster, args: &ListArgs, out: &mut dyn Write) -> Result<(), CliError> {
    let groups = Admin::new(cluster).list_groups().await?;
    if args.json {
        for group in &groups {
            let line = serde_json::json!({
                "group": group.id,
                "state": group.state,
                "protocol_type": group.protocol_type,
                "type": group.kind,
            });
            say(out, &line.to_string())?;
        }
        return Ok(());
    }
    let mut table = new_table(&["GROUP", "STATE", "KIND", "TYPE"]);
    for group in groups {
        table.add_row([group.id, group.state, group.protocol_type, group.kind]);
    }
    say(out, &table.trim_fmt())
}

/// One partition of a group.
struct Progress {
    topic: String,
    partition: i32,
    /// The next offset to read; none if nothing was committed.
    committed: Option<i64>,
    end: Option<i64>,
    /// The member that reads it.
    member: Option<String>,
}

impl Progress {
    /// Records that are left to read.
    fn lag(&self) -> Option<i64> {
        Some((self.end? - self.committed?).max(0))
    }
}

async fn describe(
    cluster: &Cluster,
    args: &DescribeArgs,
    out: &mut dyn Write,
) -> Result<(), CliError> {
    let admin = Admin::new(cluster);
    for name in &args.names {
        let view = admin.describe_group(name).await?;
        let progress = progress(&admin, &view, &admin.group_offsets(name).await?).await;
        if args.json {
            say(out, &describe_json(&view, &progress).to_string())?;
        } else {
            say(out, &describe_text(&view, &progress))?;
        }
    }
    Ok(())
}

/// Every partition that the group has read, or that a member holds.
async fn progress(admin: &Admin, view: &GroupView, offsets: &[GroupOffset]) -> Vec<Progress> {
    let mut all: BTreeMap<(String, i32), (Option<i64>, Option<String>)> = BTreeMap::new();
    for offset in offsets {
        let place = (offset.topic.clone(), offset.partition);
        all.entry(place).or_default().0 = Some(offset.offset);
    }
    for member in &view.members {
        for place in &member.partitions {
            all.entry(place.clone()).or_default().1 = Some(member.id.clone());
        }
    }
    let mut found = Vec::with_capacity(all.len());
    for ((topic, partition), (committed, member)) in all {
        // A topic that is gone has no end to tell, and is listed all the same.
        let end = admin.list_offset(&topic, partition, OffsetQuery::Latest).await;
        let end = end.ok().and_then(|end| end.offset);
        found.push(Progress { topic, partition, committed, end, member });
    }
    found
}

fn describe_json(view: &GroupView, progress: &[Progress]) -> serde_json::Value {
    let members = view.members.iter().map(|member| {
        serde_json::json!({
            "id": member.id,
            "instance_id": member.instance_id,
            "client_id": member.client_id,
            "host": member.host,
            "partitions": member.partitions.len(),
        })
    });
    let partitions = progress.iter().map(|one| {
        serde_json::json!({
            "topic": one.topic,
            "partition": one.partition,
            "committed": one.committed,
            "end": one.end,
            "lag": one.lag(),
            "member": one.member,
        })
    });
    serde_json::json!({
        "group": view.id,
        "state": view.state,
        "protocol_type": view.protocol_type,
        "protocol": view.protocol,
        "members": members.collect::<Vec<_>>(),
        "partitions": partitions.collect::<Vec<_>>(),
        "lag": progress.iter().filter_map(Progress::lag).sum::<i64>(),
    })
}

fn describe_text(view: &GroupView, progress: &[Progress]) -> String {
    let number = |number: Option<i64>| number.map_or_else(|| "-".to_owned(), |it| it.to_string());
    let lag: i64 = progress.iter().filter_map(Progress::lag).sum();
    let mut text = format!(
        "group {}  {}  {} members  {lag} records behind",
        view.id,
        view.state,
        view.members.len(),
    );
    if !progress.is_empty() {
        let mut table = new_table(&["TOPIC", "PARTITION", "COMMITTED", "END", "LAG", "MEMBER"]);
        for one in progress {
            table.add_row([
                one.topic.clone(),
                one.partition.to_string(),
                number(one.committed),
                number(one.end),
                number(one.lag()),
                one.member.clone().unwrap_or_else(|| "-".to_owned()),
            ]);
        }
        text.push_str(&format!("\n{}", table.trim_fmt()));
    }
    if !view.members.is_empty() {
        let mut table = new_table(&["MEMBER", "CLIENT", "HOST", "PARTITIONS"]);
        for member in &view.members {
            table.add_row([
                member.id.clone(),
                member.client_id.clone(),
                member.host.clone(),
                member.partitions.len().to_string(),
            ]);
        }
        text.push_str(&format!("\n{}", table.trim_fmt()));
    }
    text
}

async fn reset(cluster: &Cluster, args: &ResetArgs, out: &mut dyn Write) -> Result<(), CliError> {
    let admin = Admin::new(cluster);
    let view = cluster.topic(&args.topic).await?;
    let partitions: Vec<i32> = if args.partition.is_empty() {
        view.partitions.iter().map(|partition| partition.index).collect()
    } else {
        args.partition.clone()
    };
    let now_ms = cluster.world().wall_ms();
    let mut offsets = Vec::with_capacity(partitions.len());
    for partition in partitions {
        let find = async |query| -> Result<Option<i64>, CliError> {
            Ok(admin.list_offset(&args.topic, partition, query).await?.offset)
        };
        let (start, end) = (find(OffsetQuery::Earliest).await?, find(OffsetQuery::Latest).await?);
        let (start, end) = (start.unwrap_or(0), end.unwrap_or(0));
        let offset = match (args.since, args.to) {
            (Some(moment), _) => {
                find(OffsetQuery::Timestamp(moment.at(now_ms))).await?.unwrap_or(end)
            }
            (None, Some(Start::Earliest)) => start,
            (None, Some(Start::Latest) | None) => end,
            (None, Some(Start::Offset(offset))) => offset.clamp(start, end),
            (None, Some(Start::Last(count))) => end.saturating_sub(count).max(start),
        };
        offsets.push(GroupOffset { topic: args.topic.clone(), partition, offset });
    }
    if !args.dry_run {
        admin.set_group_offsets(&args.name, &offsets).await?;
    }
    let mut table = new_table(&["TOPIC", "PARTITION", "OFFSET"]);
    for one in &offsets {
        table.add_row([one.topic.clone(), one.partition.to_string(), one.offset.to_string()]);
    }
    let done = if args.dry_run { "would read on at" } else { "reads on at" };
    say(out, &format!("group {} {done}\n{}", args.name, table.trim_fmt()))
}

async fn delete(cluster: &Cluster, args: &DeleteArgs, out: &mut dyn Write) -> Result<(), CliError> {
    let admin = Admin::new(cluster);
    for name in &args.names {
        admin.delete_group(name).await?;
        say(out, &format!("deleted group {name}"))?;
    }
    Ok(())
}

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
use crate::unread::{self, Retention, human_span};

/// What to do with consumer groups.
#[derive(Debug, Subcommand)]
pub(crate) enum GroupCommand {
    /// List groups.
    #[command(after_help = "\
Examples:
  corelog group list
  corelog group list --json | jq -r .group")]
    List(ListArgs),
    /// Show a group's members, and for each partition how far it has read, how much is left, how old the
    /// oldest unread record is, and how much longer retention keeps it.
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
    /// The oldest offset that is still there.
    start: Option<i64>,
    end: Option<i64>,
    /// The member that reads it.
    member: Option<String>,
    /// When the oldest unread record was written, in milliseconds since 1970 UTC.
    unread_since_ms: Option<i64>,
    retention: Option<Retention>,
}

impl Progress {
    /// Records that are left to read.
    fn lag(&self) -> Option<i64> {
        Some((self.end? - self.committed?).max(0))
    }

    /// Records that were deleted before the group read them.
    fn deleted(&self) -> i64 {
        self.start.zip(self.committed).map_or(0, |(start, committed)| (start - committed).max(0))
    }

    /// Where reading goes on, if anything is left to read.
    fn unread_from(&self) -> Option<i64> {
        let from = self.committed?.max(self.start?);
        (from < self.end?).then_some(from)
    }

    /// How old the oldest unread record is, in milliseconds; 0 if everything is read.
    fn behind_ms(&self, now_ms: i64) -> Option<i64> {
        match self.unread_since_ms {
            Some(since) => Some((now_ms - since).max(0)),
            None => (self.lag()? == 0).then_some(0),
        }
    }

    /// Until when retention keeps the oldest unread record at least.
    fn kept_until_ms(&self) -> Option<i64> {
        self.retention?.keeps_until(self.unread_since_ms?)
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
        let mut progress = progress(&admin, &view, &admin.group_offsets(name).await?).await;
        look_at_unread(cluster, &admin, &mut progress).await?;
        let now_ms = cluster.world().wall_ms();
        if args.json {
            say(out, &describe_json(&view, &progress, now_ms).to_string())?;
        } else {
            say(out, &describe_text(&view, &progress, now_ms))?;
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
        let ask = async |query| {
            let found = admin.list_offset(&topic, partition, query).await;
            found.ok().and_then(|found| found.offset)
        };
        let (start, end) = (ask(OffsetQuery::Earliest).await, ask(OffsetQuery::Latest).await);
        let (unread_since_ms, retention) = (None, None);
        found.push(Progress {
            topic,
            partition,
            committed,
            start,
            end,
            member,
            unread_since_ms,
            retention,
        });
    }
    found
}

/// Finds out how old what is unread is, and how long it is kept.
async fn look_at_unread(
    cluster: &Cluster,
    admin: &Admin,
    progress: &mut [Progress],
) -> Result<(), CliError> {
    let unread = progress.iter().filter_map(|one| {
        let from = one.unread_from()?;
        Some((one.topic.clone(), one.partition, from))
    });
    let unread: Vec<unread::Place> = unread.collect();
    let times = unread::first_timestamps(cluster, &unread).await?;
    let topics = unread.iter().map(|(topic, ..)| topic.as_str());
    let retentions = unread::retentions(admin, topics).await;
    for one in progress {
        let place = (one.topic.clone(), one.partition);
        one.unread_since_ms = times.get(&place).copied().filter(|since| *since >= 0);
        one.retention = retentions.get(&one.topic).copied();
    }
    Ok(())
}

fn describe_json(view: &GroupView, progress: &[Progress], now_ms: i64) -> serde_json::Value {
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
            "lag_seconds": one.behind_ms(now_ms).map(|ms| ms / 1000),
            "kept_until_ms": one.kept_until_ms(),
            "kept_by_size": one.retention.map(|it| it.by_size),
            "deleted_unread": one.deleted(),
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
        "lag_seconds": longest_ms(progress, now_ms).map(|ms| ms / 1000),
    })
}

/// How far the group is behind in time: the partition that is most.
fn longest_ms(progress: &[Progress], now_ms: i64) -> Option<i64> {
    progress.iter().filter_map(|one| one.behind_ms(now_ms)).max()
}

fn describe_text(view: &GroupView, progress: &[Progress], now_ms: i64) -> String {
    let number = |number: Option<i64>| number.map_or_else(|| "-".to_owned(), |it| it.to_string());
    let lag: i64 = progress.iter().filter_map(Progress::lag).sum();
    let mut text = format!(
        "group {}  {}  {} members  {lag} records behind",
        view.id,
        view.state,
        view.members.len(),
    );
    if let Some(behind) = longest_ms(progress, now_ms).filter(|_| lag > 0) {
        text.push_str(&format!(", {}", human_span(behind)));
    }
    let deleted: i64 = progress.iter().map(Progress::deleted).sum();
    if deleted > 0 {
        text.push_str(&format!("  {deleted} were deleted unread"));
    }
    let kept = |one: &Progress| {
        let by_size = if one.retention.is_some_and(|it| it.by_size) { " or size" } else { "" };
        match one.kept_until_ms() {
            Some(until) => format!("{}{by_size}", human_span(until - now_ms)),
            None if one.unread_since_ms.is_some() && !by_size.is_empty() => "by size".to_owned(),
            None => "-".to_owned(),
        }
    };
    if !progress.is_empty() {
        let mut table = new_table(&[
            "TOPIC",
            "PARTITION",
            "COMMITTED",
            "END",
            "LAG",
            "BEHIND",
            "KEPT FOR",
            "MEMBER",
        ]);
        for one in progress {
            table.add_row([
                one.topic.clone(),
                one.partition.to_string(),
                number(one.committed),
                number(one.end),
                number(one.lag()),
                one.behind_ms(now_ms).map_or_else(|| "-".to_owned(), human_span),
                kept(one),
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

//! Describe configs and alter configs.

use protocol::ErrorCode;
use protocol::metadata::config::Described;
use protocol::metadata::control::{
    AlterConfigs, ConfigOperation, ConfigTarget, OperationKind, Refusal,
};
use protocol::native::configs::{
    AlterConfigsView, Change, ChangesView, DescribeAnswer, DescribeConfigsView,
    Described as WireDescribed, Entry, QueryView, Resource,
};
use protocol::native::{ENTRIES_MAX, TABLES_MAX};

use super::topics::{answer, mode, outcome};
use super::{Fault, Request, brief};
use crate::answer::Answer;
use crate::configs;

/// Describes each resource.
pub(super) fn describe(request: &Request<'_>) -> Result<Answer, Fault> {
    let body = DescribeConfigsView::read(&request.frame)?;
    if body.resources().map(|query| query.keys().len()).sum::<usize>() > ENTRIES_MAX {
        return Err(Fault::refused(ErrorCode::InvalidRequest, "too many keys"));
    }
    let image = request.shard.view.image();
    let mut described = Vec::new();
    // The answer has one table for itself, one for each resource and one for each configuration.
    let mut tables = 1;
    for query in body.resources() {
        let result = configs::describe(request.shard, &image, &target(query.resource()));
        let result = result.map(|all| wanted(all, &query));
        tables += 1 + result.as_ref().map_or(0, Vec::len);
        if tables > TABLES_MAX {
            let message =
                "one answer has no room for so many configurations: name fewer resources, or keys";
            return Err(Fault::refused(ErrorCode::InvalidRequest, message));
        }
        described.push((query.resource(), result));
    }
    let entries: Vec<Vec<Entry<'_>>> =
        described.iter().map(|(_, result)| result.iter().flatten().map(entry).collect()).collect();
    let resources: Vec<WireDescribed<'_>> = described
        .iter()
        .zip(&entries)
        .map(|((resource, result), entries)| {
            let refusal = result.as_ref().err();
            WireDescribed {
                error: refusal.map_or(ErrorCode::None, |refusal| refusal.code),
                message: refusal.map_or("", |refusal| brief(&refusal.message)),
                resource: *resource,
                entries,
            }
        })
        .collect();
    let body = DescribeAnswer { resources: &resources };
    request.answer(|correlation, encoder| body.encode(correlation, encoder))
}

/// The configurations that were asked for by name; all if none was.
fn wanted(mut all: Vec<Described>, query: &QueryView<'_>) -> Vec<Described> {
    let keys: Vec<&str> = query.keys().collect();
    if !keys.is_empty() {
        all.retain(|config| keys.contains(&config.key.name));
    }
    all
}

fn entry(config: &Described) -> Entry<'_> {
    Entry {
        name: config.key.name,
        value: config.value.as_deref(),
        source: config.source.code().unsigned_abs(),
        read_only: config.read_only,
        sensitive: false,
    }
}

/// Changes configurations; the answer says that they count on every shard.
pub(super) async fn alter(request: &Request<'_>) -> Result<Answer, Fault> {
    let body = AlterConfigsView::read(&request.frame)?;
    let wishes = body.resources().map(|changes| wish(&changes)).collect();
    let results: Vec<Result<(), Refusal>> =
        configs::alter(request.shard, wishes, mode(body.dry_run())).await;
    answer(request, &results.iter().map(outcome).collect::<Vec<_>>())
}

fn wish(changes: &ChangesView<'_>) -> AlterConfigs {
    let operations = changes.changes().map(|(key, change)| {
        let (kind, value) = match change {
            Change::Set(value) => (OperationKind::Set, Some(value)),
            Change::Delete => (OperationKind::Delete, None),
            Change::Append(value) => (OperationKind::Append, Some(value)),
            Change::Subtract(value) => (OperationKind::Subtract, Some(value)),
        };
        ConfigOperation { key: key.to_owned(), kind, value: value.map(str::to_owned) }
    });
    AlterConfigs {
        target: target(changes.resource()),
        operations: operations.collect(),
        replace: false,
    }
}

/// The resource as the rules know it.
fn target(resource: Resource<'_>) -> ConfigTarget {
    match resource {
        Resource::Topic(name) => ConfigTarget::Topic(name.to_owned()),
        Resource::Broker(name) => ConfigTarget::Broker(name.to_owned()),
        // A kind that only Kafka's protocol numbers has no place here.
        Resource::Unknown(_, name) => ConfigTarget::Other(0, name.to_owned()),
    }
}

//! Create topics, delete topics, create partitions: one outcome for each item of the request.

use protocol::TopicId;
use protocol::metadata::control::{AddPartitions, DeleteTopic, Mode, NewTopic, Refusal};
use protocol::native::Kind;
use protocol::native::outcomes::{Answer as Body, Outcome};
use protocol::native::topics::{
    CreatePartitionsView, CreateTopicsView, DeleteTopicsView, NewTopicView, TopicRef,
};

use super::{Fault, Request, brief};
use crate::answer::Answer;
use crate::topics;

/// Creates topics; the answer says that they are there on every shard.
pub(super) async fn create(request: &Request<'_>) -> Result<Answer, Fault> {
    let body = CreateTopicsView::read(&request.frame)?;
    let wishes = body.topics().map(|topic| new_topic(&topic)).collect();
    let results = topics::create(request.shard, wishes, mode(body.dry_run())).await;
    // A topic that was only checked has no id yet.
    let id = |id: TopicId| (!body.dry_run()).then_some(id);
    let outcomes = results.iter().map(|result| match result {
        Ok(created) => Outcome { topic: id(created.id), ..Outcome::DONE },
        Err(refusal) => refused(refusal),
    });
    answer(request, &outcomes.collect::<Vec<_>>())
}

fn new_topic(topic: &NewTopicView<'_>) -> NewTopic {
    let configs = topic.configs().map(|(name, value)| (name.to_owned(), Some(value.to_owned())));
    NewTopic {
        name: topic.name().to_owned(),
        partitions: topic.partitions(),
        replication_factor: topic.replicas(),
        configs: configs.collect(),
        ..NewTopic::default()
    }
}

/// Deletes topics; the answer says that they are gone on every shard.
pub(super) async fn delete(request: &Request<'_>) -> Result<Answer, Fault> {
    let body = DeleteTopicsView::read(&request.frame)?;
    let wish = |topic| match topic {
        TopicRef::Name(name) => DeleteTopic { name: Some(name.to_owned()), id: TopicId::ZERO },
        TopicRef::Id(id) => DeleteTopic { name: None, id },
    };
    let results = topics::delete(request.shard, body.topics().map(wish).collect()).await;
    let outcomes = results.iter().map(|result| match result {
        Ok((id, _name)) => Outcome { topic: Some(*id), ..Outcome::DONE },
        Err(refusal) => refused(refusal),
    });
    answer(request, &outcomes.collect::<Vec<_>>())
}

/// Gives topics more partitions; the answer says that they are there on every shard.
pub(super) async fn grow(request: &Request<'_>) -> Result<Answer, Fault> {
    let body = CreatePartitionsView::read(&request.frame)?;
    let wish = |(topic, count): (&str, i32)| AddPartitions {
        topic: topic.to_owned(),
        count,
        assignments: None,
    };
    let wishes = body.topics().map(wish).collect();
    let results = topics::grow(request.shard, wishes, mode(body.dry_run())).await;
    answer(request, &results.iter().map(outcome).collect::<Vec<_>>())
}

pub(super) fn mode(dry_run: bool) -> Mode {
    if dry_run { Mode::Validate } else { Mode::Apply }
}

/// An item that is done, or not.
pub(super) fn outcome(result: &Result<(), Refusal>) -> Outcome<'_> {
    match result {
        Ok(()) => Outcome::DONE,
        Err(refusal) => refused(refusal),
    }
}

fn refused(refusal: &Refusal) -> Outcome<'_> {
    Outcome { error: refusal.code, message: brief(&refusal.message), ..Outcome::DONE }
}

/// The outcomes of an administrative request, in the order of its items.
pub(super) fn answer(request: &Request<'_>, outcomes: &[Outcome<'_>]) -> Result<Answer, Fault> {
    let kind: Kind = request.frame.kind();
    let body = Body { kind, outcomes };
    request.answer(|correlation, encoder| body.encode(correlation, encoder))
}

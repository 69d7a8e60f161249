//! What administrators ask: which groups there are, what they look like, and to forget them.

use std::rc::Rc;

use protocol::ErrorCode;
use runtime::sync::oneshot;

use super::classic::Described;
use super::consumer;
use super::home::Kind;
use super::{at_all_homes, at_home, expire};
use crate::shard::Shard;

/// A group in a list.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Listed {
    pub(crate) id: String,
    pub(crate) protocol_type: String,
    pub(crate) state: &'static str,
    pub(crate) kind: &'static str,
}

/// A group from near.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Seen {
    pub(crate) state: &'static str,
    pub(crate) protocol_type: String,
    pub(crate) protocol: String,
    pub(crate) members: Vec<Described>,
}

/// Every group of this broker.
///
/// # Errors
/// Some are still being loaded.
pub(crate) async fn list(shard: &Rc<Shard>) -> Result<Vec<Listed>, ErrorCode> {
    let lists = at_all_homes(shard, |home| {
        let groups = home.groups.borrow();
        let one = |(id, group): (&Rc<str>, &super::Group)| {
            let id = id.as_ref().to_owned();
            match &group.kind {
                Kind::Classic(classic) => Listed {
                    id,
                    protocol_type: classic.protocol_type().unwrap_or_default().to_owned(),
                    state: classic.state().name(),
                    kind: "classic",
                },
                Kind::Consumer(consumer) => Listed {
                    id,
                    protocol_type: "consumer".to_owned(),
                    state: consumer.state().name(),
                    kind: "consumer",
                },
            }
        };
        groups.iter().map(one).collect::<Vec<_>>()
    });
    Ok(lists.await?.into_iter().flatten().collect())
}

/// One KIP-848 group's state and members.
///
/// # Errors
/// It is not there, is of another kind, or cannot be asked.
pub(crate) async fn describe_consumer(
    shard: &Rc<Shard>,
    group: &str,
) -> Result<consumer::Described, ErrorCode> {
    let id = group.to_owned();
    at_home(shard, group, move |_there, home| async move {
        match home.groups.borrow().get(id.as_str()).map(|group| &group.kind) {
            Some(Kind::Consumer(consumer)) => Ok(consumer.describe()),
            Some(Kind::Classic(_)) | None => Err(ErrorCode::GroupIdNotFound),
        }
    })
    .await
}

/// One classic group's state and members.
///
/// # Errors
/// It is not there, is of another kind, or cannot be asked.
pub(crate) async fn describe(shard: &Rc<Shard>, group: &str) -> Result<Seen, ErrorCode> {
    let id = group.to_owned();
    at_home(shard, group, move |_there, home| async move {
        let groups = home.groups.borrow();
        let group = groups.get(id.as_str()).ok_or(ErrorCode::GroupIdNotFound)?;
        let Kind::Classic(classic) = &group.kind else {
            return Err(ErrorCode::GroupIdNotFound);
        };
        Ok(Seen {
            state: classic.state().name(),
            protocol_type: classic.protocol_type().unwrap_or_default().to_owned(),
            protocol: classic.stable_protocol().unwrap_or_default().to_owned(),
            members: classic.describe(),
        })
    })
    .await
}

/// Forgets a group that has no members; it is off the disk's record when this returns.
///
/// # Errors
/// It is not there, has members, or cannot be asked.
pub(crate) async fn delete(shard: &Rc<Shard>, group: &str) -> Result<(), ErrorCode> {
    if group.is_empty() {
        return Err(ErrorCode::InvalidGroupId);
    }
    let id: String = group.to_owned();
    at_home(shard, group, move |there, home| async move {
        let idle = {
            let groups = home.groups.borrow();
            let group = groups.get(id.as_str()).ok_or(ErrorCode::GroupIdNotFound)?;
            group.kind.is_idle()
        };
        if !idle {
            return Err(ErrorCode::NonEmptyGroup);
        }
        let (done, answer) = oneshot();
        expire::remove(&home, &there, &Rc::from(id), Some(done));
        answer.await.map_err(|_closed| ErrorCode::NotCoordinator)?
    })
    .await
}

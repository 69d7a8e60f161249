//! What members ask of their group: to join, to get their share, to stay, to leave.

use std::rc::Rc;
use std::time::Duration;

use bytes::Bytes;
use protocol::ErrorCode;
use uuid::Builder;

use super::classic::{Claim, Join, Leaving, Sync};
use super::classic::{Joined, Synced};
use super::settings::MEMBER_BYTES_MAX;
use super::{at_home, find_or_make, migration};
use crate::shard::Shard;

/// So much of a client's name stands in the ids of its members.
const PREFIX_BYTES_MAX: usize = 200;

/// A client that wants to be a member, as it travels between shards.
#[derive(Debug, Clone)]
pub(crate) struct JoinWish {
    pub(crate) group: String,
    pub(crate) member_id: String,
    pub(crate) instance_id: Option<String>,
    pub(crate) client_id: String,
    pub(crate) client_host: String,
    pub(crate) session_ms: i32,
    pub(crate) rebalance_ms: i32,
    pub(crate) protocol_type: String,
    pub(crate) protocols: Vec<(String, Bytes)>,
    pub(crate) must_know_id: bool,
    pub(crate) can_skip: bool,
}

/// A member that wants its share, as it travels between shards.
#[derive(Debug, Clone)]
pub(crate) struct SyncWish {
    pub(crate) group: String,
    pub(crate) member_id: String,
    pub(crate) instance_id: Option<String>,
    pub(crate) generation: i32,
    pub(crate) protocol_type: Option<String>,
    pub(crate) protocol: Option<String>,
    pub(crate) shares: Vec<(String, Bytes)>,
}

/// Joins a group; waits until its next generation begins.
pub(crate) async fn join(shard: &Rc<Shard>, wish: JoinWish) -> Joined {
    let member_id = wish.member_id.clone();
    let joined = match check_join(shard, &wish) {
        Err(code) => Err(code),
        Ok(()) => {
            let (group, id) = (wish.group.clone(), wish.group.clone());
            at_home(shard, &id, move |there, home| async move {
                if wish.member_id.is_empty() {
                    find_or_make(&there, &home, &wish.group)?;
                }
                migration::make_classic(&there, &home, &wish.group);
                let join = to_join(&there, wish);
                let (asker, answer) = home.await_join();
                let asked = if home.is_consumer(&group) {
                    let image = there.view.image();
                    home.with_consumer(&there, &group, |consumer, now, out| {
                        consumer.join(now, asker, join, image.as_ref(), out);
                    })
                } else {
                    home.with_classic(&there, &group, |classic, now, out| {
                        classic.join(now, asker, join, out);
                    })
                };
                // Nobody can have its id in a group that is not there.
                asked.map_err(|_none| ErrorCode::UnknownMemberId)?;
                answer.await.map_err(|_closed| ErrorCode::NotCoordinator)
            })
            .await
        }
    };
    joined.unwrap_or_else(|code| Joined::refused(code, &member_id))
}

fn check_join(shard: &Shard, wish: &JoinWish) -> Result<(), ErrorCode> {
    let settings = &shard.groups.settings;
    if wish.group.is_empty() {
        return Err(ErrorCode::InvalidGroupId);
    }
    if !settings.session_ms.contains(&i64::from(wish.session_ms)) {
        return Err(ErrorCode::InvalidSessionTimeout);
    }
    let bytes: usize = wish.protocols.iter().map(|(name, bytes)| name.len() + bytes.len()).sum();
    if bytes > MEMBER_BYTES_MAX {
        return Err(ErrorCode::InvalidRequest);
    }
    Ok(())
}

fn to_join(shard: &Shard, wish: JoinWish) -> Join {
    let name = wish.instance_id.as_ref().unwrap_or(&wish.client_id);
    // An id must fit a record and every answer, whatever the client calls itself.
    let prefix = &name[..name.floor_char_boundary(PREFIX_BYTES_MAX)];
    let (high, low) = (u128::from(shard.world.random()), u128::from(shard.world.random()));
    let unique = Builder::from_random_bytes((high << 64 | low).to_be_bytes()).into_uuid();
    let session_timeout = millis(wish.session_ms);
    Join {
        new_id: Rc::from(format!("{prefix}-{unique}")),
        member_id: Rc::from(wish.member_id),
        instance_id: wish.instance_id.map(Rc::from),
        client_id: Rc::from(wish.client_id),
        client_host: Rc::from(wish.client_host),
        session_timeout,
        rebalance_timeout: match wish.rebalance_ms {
            // Version 0 has no such field.
            -1 => session_timeout,
            rebalance_ms => millis(rebalance_ms),
        },
        protocol_type: Rc::from(wish.protocol_type),
        protocols: wish.protocols.into_iter().map(|(name, data)| (Rc::from(name), data)).collect(),
        must_know_id: wish.must_know_id,
        can_skip: wish.can_skip,
    }
}

fn millis(millis: i32) -> Duration {
    Duration::from_millis(u64::try_from(millis).unwrap_or(0))
}

/// Gets a member's share; waits until the leader has brought it and it is on disk.
pub(crate) async fn sync(shard: &Rc<Shard>, wish: SyncWish) -> Synced {
    if wish.group.is_empty() {
        return Synced::refused(ErrorCode::InvalidGroupId);
    }
    let (group, id) = (wish.group.clone(), wish.group.clone());
    let synced = at_home(shard, &id, move |there, home| async move {
        let sync = Sync {
            member_id: Rc::from(wish.member_id),
            instance_id: wish.instance_id.map(Rc::from),
            generation: wish.generation,
            protocol_type: wish.protocol_type.map(Rc::from),
            protocol: wish.protocol.map(Rc::from),
            shares: wish.shares.into_iter().map(|(id, share)| (Rc::from(id), share)).collect(),
        };
        let (asker, answer) = home.await_sync();
        let asked = if home.is_consumer(&group) {
            let image = there.view.image();
            home.with_consumer(&there, &group, |consumer, now, out| {
                consumer.sync(now, asker, &sync, image.as_ref(), out);
            })
        } else {
            home.with_classic(&there, &group, |classic, now, out| {
                classic.sync(now, asker, sync, out);
            })
        };
        asked.map_err(|_none| ErrorCode::UnknownMemberId)?;
        answer.await.map_err(|_closed| ErrorCode::NotCoordinator)
    });
    synced.await.unwrap_or_else(Synced::refused)
}

/// A member says that it lives; gives what it is told.
pub(crate) async fn heartbeat(
    shard: &Rc<Shard>,
    group: &str,
    member_id: &str,
    instance_id: Option<&str>,
    generation: i32,
) -> ErrorCode {
    if group.is_empty() {
        return ErrorCode::InvalidGroupId;
    }
    let (id, member_id) = (group.to_owned(), member_id.to_owned());
    let instance_id = instance_id.map(str::to_owned);
    let told = at_home(shard, group, move |there, home| async move {
        let claim = Claim { member_id: &member_id, instance_id: instance_id.as_deref() };
        let told = home
            .with_classic(&there, &id, |classic, now, _out| {
                classic.heartbeat(now, claim, generation)
            })
            .or_else(|_other| {
                home.with_consumer(&there, &id, |consumer, now, _out| {
                    consumer.classic_heartbeat(now, claim, generation)
                })
            });
        told.map_err(|_none| ErrorCode::UnknownMemberId)
    });
    told.await.unwrap_or_else(|code| code)
}

/// Members go, each by its id, its static name or both; gives what each is told.
///
/// # Errors
/// The group cannot be asked.
pub(crate) async fn leave(
    shard: &Rc<Shard>,
    group: &str,
    leaving: Vec<(String, Option<String>)>,
) -> Result<Vec<ErrorCode>, ErrorCode> {
    if group.is_empty() {
        return Err(ErrorCode::InvalidGroupId);
    }
    let id = group.to_owned();
    at_home(shard, group, move |there, home| async move {
        let leaving: Vec<Leaving> = leaving
            .into_iter()
            .map(|(member_id, instance_id)| Leaving {
                member_id: Rc::from(member_id),
                instance_id: instance_id.map(Rc::from),
            })
            .collect();
        let told = home
            .with_classic(&there, &id, |classic, now, out| classic.leave(now, &leaving, out))
            .or_else(|_other| {
                home.with_consumer(&there, &id, |consumer, now, out| {
                    let leaving =
                        leaving.iter().map(|one| (&*one.member_id, one.instance_id.as_deref()));
                    consumer.send_away(now, leaving, out)
                })
            });
        // Nobody is in a group that is not there.
        Ok(told.unwrap_or_else(|_none| vec![ErrorCode::UnknownMemberId; leaving.len()]))
    })
    .await
}

//! How a group goes from one protocol to the other, with its members or without.

use std::rc::Rc;

use protocol::ErrorCode;
use protocol::kafka::group_log::GroupKey;

use super::classic::Classic;
use super::consumer::{Consumer, Refusal};
use super::find_or_make;
use super::home::{Group, Home, Kind, now};
use super::ledger::{Lines, Then};
use crate::shard::Shard;

/// Which ways groups may go while they have members (`group.consumer.migration.policy`).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Migration {
    upgrade: bool,
    downgrade: bool,
}

impl Migration {
    /// What a setting says.
    pub(crate) fn new(policy: &str) -> Self {
        Self {
            upgrade: matches!(policy, "bidirectional" | "upgrade"),
            downgrade: matches!(policy, "bidirectional" | "downgrade"),
        }
    }
}

const NO_UPGRADE: Refusal = Refusal {
    code: ErrorCode::GroupIdNotFound,
    message: "The group has members of the classic protocol.",
};

/// Makes sure that there is a KIP-848 group of this name. A classic one of consumers becomes one, with its members.
///
/// # Errors
/// Its members are not consumers, are too many, or may not change over.
pub(super) fn make_consumer(shard: &Shard, home: &Home, id: &str) -> Result<(), Refusal> {
    find_or_make(shard, home, id)?;
    let rules = Rc::clone(&home.settings.consumer_rules);
    let mut told = Vec::new();
    let id: Rc<str> = Rc::from(id);
    {
        let mut groups = home.groups.borrow_mut();
        let Some(group) = groups.get_mut(&id) else {
            return Err(ErrorCode::GroupIdNotFound.into());
        };
        let Kind::Classic(classic) = &mut group.kind else { return Ok(()) };
        let new = if classic.is_idle() {
            Consumer::new(Rc::clone(&id), rules, group.recorded, now(shard))
        } else {
            let moving = classic.moving().filter(|_| home.settings.migration.upgrade);
            let moving = moving.ok_or(NO_UPGRADE)?;
            if moving.members.len() >= rules.size_max {
                return Err(ErrorCode::GroupMaxSizeReached.into());
            }
            let (image, members) = (shard.view.image(), moving.members.len());
            let id = Rc::clone(&id);
            let new = Consumer::of_classic(id, rules, moving, image.as_ref(), now(shard));
            let new = new.ok_or(NO_UPGRADE)?;
            classic.dissolve(&mut told);
            tracing::info!(members, "a group goes over to the consumer protocol");
            new
        };
        group.kind = Kind::Consumer(Box::new(new));
    }
    home.act(shard, &id, told);
    Ok(())
}

/// Makes sure that a group, if it is there, can take members of the classic protocol. One of KIP-848 without members
/// becomes a classic one; one that has members takes those of the classic protocol in.
pub(super) fn make_classic(shard: &Shard, home: &Home, id: &str) {
    let mut lines = Lines::default();
    {
        let mut groups = home.groups.borrow_mut();
        let Some(Group { kind, .. }) = groups.get_mut(id) else { return };
        let Kind::Consumer(consumer) = kind else { return };
        if !consumer.is_idle() {
            return;
        }
        consumer.take_back(&mut lines).expect("ids that a record carried");
        *kind = Kind::Classic(Box::new(Classic::new(Rc::clone(&home.settings.rules), now(shard))));
    }
    // If this is not written, neither is what follows; and what follows counts for more, being later.
    let then = Then::Offsets { group: Rc::from(id), changes: Vec::new(), done: None };
    home.put(shard, lines, then);
}

/// A KIP-848 group whose last member of the new protocol has gone becomes a classic one with those who are left.
pub(super) fn downgrade_if_due(shard: &Shard, home: &Home, id: &Rc<str>) {
    let mut lines = Lines::default();
    let then = {
        let mut groups = home.groups.borrow_mut();
        let Some(Group { kind, .. }) = groups.get_mut(id) else { return };
        let Kind::Consumer(consumer) = kind else { return };
        if !home.settings.migration.downgrade
            || !consumer.is_ready_to_be_classic()
            || consumer.size() > home.settings.rules.size_max
        {
            return;
        }
        let moving = consumer.moving(shard.view.image().as_ref());
        let members = moving.members.len();
        let rules = Rc::clone(&home.settings.rules);
        let (classic, write, value) = Classic::of_moving(rules, moving, now(shard));
        let put = |into: &mut Vec<u8>| {
            into.extend_from_slice(&value);
            Ok(())
        };
        consumer.take_all_back(&mut lines).expect("ids that a record carried");
        lines.add(GroupKey::Group { group: id }, Some(put)).expect("an id that a record carried");
        *kind = Kind::Classic(Box::new(classic));
        tracing::info!(members, "a group goes back to the classic protocol");
        Then::Written { group: Rc::clone(id), write }
    };
    home.put(shard, lines, then);
    // A group that is gone meanwhile has nobody to call.
    let _gone = home.with_classic(shard, id, Classic::call_together);
}

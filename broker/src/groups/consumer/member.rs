//! One member of a KIP-848 group.

use std::rc::Rc;
use std::time::Duration;

use runtime::Nanos;

use super::super::classic::Protocol;
use super::Partitions;

/// The epoch by which a member says that it goes.
pub(crate) const LEAVE: i32 = -1;
/// The epoch by which a static member says that it goes and will be back; and its epoch until then.
pub(crate) const AWAY: i32 = -2;

/// How far a member is on its way to what it shall hold.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum MemberState {
    /// It holds all that was free for it.
    Stable,
    /// It has been told to give partitions up and has not said yet that it did.
    Revoking,
    /// It waits for partitions that others hold.
    Waiting,
}

/// A member.
#[derive(Debug)]
pub(super) struct Member {
    pub(super) instance_id: Option<Rc<str>>,
    pub(super) rack_id: Option<Rc<str>>,
    pub(super) client_id: Rc<str>,
    pub(super) client_host: Rc<str>,
    /// How long it may take to give partitions up.
    pub(super) rebalance_timeout: Duration,
    /// The topics it reads, in order.
    pub(super) names: Vec<Rc<str>>,
    pub(super) expression: Option<Rc<str>>,
    pub(super) assignor: Option<Rc<str>>,
    pub(super) epoch: i32,
    /// The epoch before: the answer that told of the new one may have been lost.
    pub(super) previous_epoch: i32,
    pub(super) state: MemberState,
    /// What it may read.
    pub(super) assigned: Partitions,
    /// What it must give up.
    pub(super) revoking: Partitions,
    /// What it shall hold.
    pub(super) target: Partitions,
    /// If nothing is heard from it until then, it is dead.
    pub(super) deadline: Nanos,
    /// If it has not given up until then what it must, it is sent away.
    pub(super) revoke_until: Option<Nanos>,
    /// What it brought along if it speaks the classic protocol.
    pub(super) classic: Option<Classic>,
}

/// What only members of the classic protocol have.
#[derive(Debug)]
pub(super) struct Classic {
    pub(super) session_timeout: Duration,
    /// The one it likes best first; that is the one it is answered in.
    pub(super) protocols: Vec<Protocol>,
    /// The version in which it is told what it may read.
    pub(super) version: i16,
    /// If it has not joined again, or fetched what it may read, until then, it is dead.
    pub(super) act_until: Option<Nanos>,
}

impl Member {
    /// One that holds nothing and has told nothing of itself.
    pub(super) fn new() -> Self {
        let nothing: Rc<str> = Rc::from("");
        Self {
            instance_id: None,
            rack_id: None,
            client_id: Rc::clone(&nothing),
            client_host: nothing,
            rebalance_timeout: Duration::ZERO,
            names: Vec::new(),
            expression: None,
            assignor: None,
            epoch: 0,
            previous_epoch: 0,
            state: MemberState::Stable,
            assigned: Partitions::new(),
            revoking: Partitions::new(),
            target: Partitions::new(),
            deadline: Nanos::MAX,
            revoke_until: None,
            classic: None,
        }
    }

    /// How long it may be silent, if that is not what counts for all.
    pub(super) fn session_timeout(&self) -> Option<Duration> {
        self.classic.as_ref().map(|classic| classic.session_timeout)
    }

    /// By when it must have done what it was told.
    pub(super) fn act_until(&self) -> Option<Nanos> {
        self.classic.as_ref().and_then(|classic| classic.act_until)
    }

    /// Whether it holds all that it shall.
    pub(super) fn has_reached(&self, target_epoch: i32) -> bool {
        self.state == MemberState::Stable && self.epoch == target_epoch
    }

    pub(super) fn set_epoch(&mut self, epoch: i32) {
        self.previous_epoch = std::mem::replace(&mut self.epoch, epoch);
    }
}

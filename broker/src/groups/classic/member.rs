//! One member of a classic group.

use std::rc::Rc;
use std::time::Duration;

use bytes::Bytes;
use runtime::Nanos;

use super::{Asker, Classic, State};

/// A way of sharing work and what the leader must know of the member for it; both opaque.
pub(crate) type Protocol = (Rc<str>, Bytes);

/// A member.
#[derive(Debug)]
pub(crate) struct Member {
    pub(super) instance_id: Option<Rc<str>>,
    pub(super) client_id: Rc<str>,
    pub(super) client_host: Rc<str>,
    pub(super) session_timeout: Duration,
    pub(super) rebalance_timeout: Duration,
    /// The one it likes best first.
    pub(super) protocols: Vec<Protocol>,
    pub(super) share: Bytes,
    /// Its join that waits for the others.
    pub(super) joining: Option<Asker>,
    /// Its sync that waits for the leader.
    pub(super) syncing: Option<Asker>,
    /// It has asked for the share of this generation.
    pub(super) has_synced: bool,
    /// It was never told that it is a member, so it cannot send heartbeats.
    pub(super) is_new: bool,
    /// If nothing is heard from it until then, it is dead.
    pub(super) deadline: Nanos,
}

impl Member {
    /// What it sent for a protocol.
    pub(super) fn metadata(&self, protocol: &str) -> Bytes {
        let known = self.protocols.iter().find(|(name, _)| **name == *protocol);
        known.map(|(_, metadata)| metadata.clone()).unwrap_or_default()
    }

    pub(super) fn knows(&self, protocol: &str) -> bool {
        self.protocols.iter().any(|(name, _)| **name == *protocol)
    }
}

/// A member as administrators see it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Described {
    pub(crate) member_id: String,
    pub(crate) instance_id: Option<String>,
    pub(crate) client_id: String,
    pub(crate) client_host: String,
    pub(crate) metadata: Bytes,
    pub(crate) assignment: Bytes,
}

impl Classic {
    /// The members; what they read and hold only while the group is stable, as Kafka tells it.
    pub(crate) fn describe(&self) -> Vec<Described> {
        let stable = (self.state == State::Stable).then_some(self.protocol.as_deref()).flatten();
        let describe = |(id, member): (&Rc<str>, &Member)| Described {
            member_id: id.as_ref().to_owned(),
            instance_id: member.instance_id.as_deref().map(str::to_owned),
            client_id: member.client_id.as_ref().to_owned(),
            client_host: member.client_host.as_ref().to_owned(),
            metadata: stable.map(|protocol| member.metadata(protocol)).unwrap_or_default(),
            assignment: stable.map(|_| member.share.clone()).unwrap_or_default(),
        };
        self.members.iter().map(describe).collect()
    }

    /// The protocol of the generation, while the group is stable.
    pub(crate) fn stable_protocol(&self) -> Option<&str> {
        self.protocol.as_deref().filter(|_| self.state == State::Stable)
    }

    /// Whether any member reads this topic. Only consumers say what they read; `None` if that is not known.
    pub(crate) fn is_subscribed(&self, topic: &str) -> Option<bool> {
        if self.protocol_type.as_deref() != Some("consumer") {
            return None;
        }
        if self.members.is_empty() {
            return Some(false);
        }
        let protocol = self.protocol.as_deref()?;
        for member in self.members.values() {
            let metadata = member.metadata(protocol);
            if super::super::subscription::topics(&metadata)?.any(|read| read == topic) {
                return Some(true);
            }
        }
        Some(false)
    }
}

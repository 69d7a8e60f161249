//! A group as administrators see it.

use std::rc::Rc;

use super::member::Member;
use super::{Assignor, Consumer, Partitions, State};

/// A group.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Described {
    pub(crate) state: &'static str,
    pub(crate) epoch: i32,
    pub(crate) target_epoch: i32,
    pub(crate) assignor: &'static str,
    pub(crate) members: Vec<DescribedMember>,
}

/// One of its members.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct DescribedMember {
    pub(crate) id: String,
    pub(crate) instance_id: Option<String>,
    pub(crate) rack_id: Option<String>,
    pub(crate) epoch: i32,
    pub(crate) client_id: String,
    pub(crate) client_host: String,
    pub(crate) names: Vec<String>,
    pub(crate) expression: Option<String>,
    pub(crate) assigned: Partitions,
    pub(crate) target: Partitions,
    /// It speaks the classic protocol.
    pub(crate) is_classic: bool,
}

impl Consumer {
    /// The group and its members.
    pub(crate) fn describe(&self) -> Described {
        let text = |text: &Option<Rc<str>>| text.as_deref().map(str::to_owned);
        let member = |(id, member): (&Rc<str>, &Member)| DescribedMember {
            id: id.as_ref().to_owned(),
            instance_id: text(&member.instance_id),
            rack_id: text(&member.rack_id),
            epoch: member.epoch,
            client_id: member.client_id.as_ref().to_owned(),
            client_host: member.client_host.as_ref().to_owned(),
            names: member.names.iter().map(|name| name.as_ref().to_owned()).collect(),
            expression: text(&member.expression),
            assigned: member.assigned.clone(),
            target: member.target.clone(),
            is_classic: member.classic.is_some(),
        };
        Described {
            state: self.state().name(),
            epoch: self.epoch,
            target_epoch: self.target_epoch,
            assignor: match self.state() {
                State::Empty => self.rules.assignors.first().map_or("", |one| one.name()),
                _ => self.assignor().name(),
            },
            members: self.members.iter().map(member).collect(),
        }
    }
}

impl Assignor {
    /// The assignors that a list names.
    pub(crate) fn list(names: &str) -> Vec<Self> {
        names.split(',').filter_map(|name| Self::new(name.trim())).collect()
    }
}

//! Leaving: by themselves, or sent away by an administrator.

use std::rc::Rc;

use protocol::ErrorCode;

use super::{Action, Claim, Classic, Now};

/// A member that goes.
#[derive(Debug, Clone)]
pub(crate) struct Leaving {
    /// Empty if the static name says enough.
    pub(crate) member_id: Rc<str>,
    pub(crate) instance_id: Option<Rc<str>>,
}

impl Classic {
    /// Members go; gives what each is told.
    pub(crate) fn leave(
        &mut self,
        now: Now,
        leaving: &[Leaving],
        out: &mut Vec<Action>,
    ) -> Vec<ErrorCode> {
        let mut anybody = false;
        let mut codes = Vec::with_capacity(leaving.len());
        for one in leaving {
            let gone = self.who_leaves(one);
            if let Ok(id) = &gone {
                self.remove(id, ErrorCode::UnknownMemberId, out);
                anybody = true;
            }
            codes.push(gone.err().unwrap_or(ErrorCode::None));
        }
        if anybody {
            self.somebody_is_gone(now, out);
        }
        codes
    }

    fn who_leaves(&self, one: &Leaving) -> Result<Rc<str>, ErrorCode> {
        if one.member_id.is_empty() {
            let known = one.instance_id.as_ref().and_then(|name| self.statics.get(name));
            return known.cloned().ok_or(ErrorCode::UnknownMemberId);
        }
        if self.pending.contains_key(&one.member_id) {
            return Ok(Rc::clone(&one.member_id));
        }
        let claim = Claim { member_id: &one.member_id, instance_id: one.instance_id.as_deref() };
        self.check(claim).map(|()| Rc::clone(&one.member_id))
    }
}

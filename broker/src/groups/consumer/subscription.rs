//! What the members read: topics by name, and topics that a regular expression finds.

use std::collections::{BTreeMap, BTreeSet};
use std::rc::Rc;
use std::time::Duration;

use protocol::{ErrorCode, TopicId};
use regex::{Regex, RegexBuilder};

use super::{Beat, Consumer, Member, Now, Refusal};

/// The longest regular expression that is taken.
const EXPRESSION_BYTES_MAX: usize = 4096;
/// What a compiled expression may take, and what it may take beside that while it searches.
const COMPILED_BYTES_MAX: usize = 1 << 20;
/// Expressions are tried on new topics no more often than this: each time every topic's name is looked at.
const FIND_AGAIN: Duration = Duration::from_secs(10);

/// The topics that there are.
pub(crate) trait Topics {
    /// Changes when they do.
    fn version(&self) -> i64;
    /// A topic's id and number of partitions, by its name.
    fn find(&self, name: &str) -> Option<(TopicId, u32)>;
    /// A topic's name, by its id.
    fn name(&self, id: TopicId) -> Option<Rc<str>>;
    /// Every topic's name.
    fn each(&self, visit: &mut dyn FnMut(&Rc<str>));
}

/// The topics that an expression found.
#[derive(Debug, Default)]
pub(super) struct Found {
    /// In which version of the topics.
    version: i64,
    names: Vec<Rc<str>>,
}

impl Found {
    fn search(expression: &str, topics: &dyn Topics) -> Result<Self, Refusal> {
        let expression = compile(expression)?;
        let mut names = Vec::new();
        topics.each(&mut |name| {
            if expression.is_match(name) {
                names.push(Rc::clone(name));
            }
        });
        Ok(Self { version: topics.version(), names })
    }
}

/// Whether a member may bring this expression.
///
/// # Errors
/// It is none, or too large.
pub(crate) fn check_expression(expression: &str) -> Result<(), Refusal> {
    compile(expression).map(|_compiled| ())
}

/// An expression that matches whole names.
fn compile(expression: &str) -> Result<Regex, Refusal> {
    let refused = Refusal {
        code: ErrorCode::InvalidRegularExpression,
        message: "SubscribedTopicRegex is not a valid regular expression, or too large.",
    };
    if expression.len() > EXPRESSION_BYTES_MAX {
        return Err(refused);
    }
    let build = |text: &str| {
        RegexBuilder::new(text)
            .size_limit(COMPILED_BYTES_MAX)
            .dfa_size_limit(COMPILED_BYTES_MAX)
            .build()
            .map_err(|_wrong| refused)
    };
    // By itself first: brackets of ours must not make a whole of halves.
    build(expression)?;
    build(&format!(r"\A(?:{expression})\z"))
}

impl Consumer {
    /// What a member's expression finds, if the group has not met it before.
    pub(super) fn find_new(
        &self,
        beat: &Beat,
        topics: &dyn Topics,
    ) -> Result<Option<Found>, Refusal> {
        match beat.expression.as_deref() {
            None | Some("") => Ok(None),
            Some(known) if self.expressions.contains_key(known) => Ok(None),
            Some(new) => Found::search(new, topics).map(Some),
        }
    }

    /// Looks whether the topics that are read have changed since the group last looked.
    pub(super) fn look_at_topics(
        &mut self,
        now: Now,
        topics: &dyn Topics,
        subscribed: bool,
    ) -> bool {
        let version = topics.version();
        let outdated = self.expressions.values().any(|found| found.version != version);
        let search = outdated && now.at >= self.find_again;
        if self.seen == Some(version) && !subscribed && !search {
            return false;
        }
        if search {
            self.find_again = now.at + FIND_AGAIN;
            for (expression, found) in &mut self.expressions {
                // It was compiled before, so it can be again.
                if let Ok(newer) = Found::search(expression, topics) {
                    *found = newer;
                }
            }
        }
        if subscribed {
            self.drop_unused_expressions();
        }
        self.seen = Some(version);
        let read: BTreeSet<(TopicId, u32)> =
            self.all_topics().into_iter().filter_map(|name| topics.find(name)).collect();
        let fingerprint = fingerprint(&read);
        std::mem::replace(&mut self.fingerprint, fingerprint) != fingerprint
    }

    fn drop_unused_expressions(&mut self) {
        let used: BTreeSet<&str> =
            self.members.values().filter_map(|member| member.expression.as_deref()).collect();
        self.expressions.retain(|expression, _| used.contains(expression.as_ref()));
    }

    fn all_topics(&self) -> BTreeSet<&str> {
        let named = self.members.values().flat_map(|member| &member.names);
        let found = self.expressions.values().flat_map(|found| &found.names);
        named.chain(found).map(AsRef::as_ref).collect()
    }

    /// The names of the topics that a member reads.
    pub(super) fn topics_of<'a>(&'a self, member: &'a Member) -> impl Iterator<Item = &'a str> {
        let found = member.expression.as_ref().and_then(|text| self.expressions.get(text));
        let found = found.into_iter().flat_map(|found| &found.names);
        member.names.iter().chain(found).map(AsRef::as_ref)
    }

    /// Whether any member reads this topic. What an expression that was not tried yet would find may be anything.
    pub(crate) fn is_subscribed(&self, topic: &str) -> bool {
        self.members.values().any(|member| {
            let unknown =
                member.expression.as_ref().is_some_and(|text| !self.expressions.contains_key(text));
            unknown || self.topics_of(member).any(|name| name == topic)
        })
    }

    /// Expressions that came out of the log are tried when the topics are at hand.
    pub(super) fn expect_expressions(&mut self) {
        let texts = self.members.values().filter_map(|member| member.expression.clone());
        let unsearched = || Found { version: -1, names: Vec::new() };
        let expected: BTreeMap<_, _> = texts.map(|text| (text, unsearched())).collect();
        self.expressions = expected;
    }
}

/// A number that differs when the topics or their partitions do (FNV-1a); 0 for none.
fn fingerprint(topics: &BTreeSet<(TopicId, u32)>) -> i64 {
    if topics.is_empty() {
        return 0;
    }
    let bytes =
        topics.iter().flat_map(|(id, count)| id.get().into_iter().chain(count.to_be_bytes()));
    let hash = bytes.fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| {
        (hash ^ u64::from(byte)).wrapping_mul(0x100_0000_01b3)
    });
    hash.cast_signed()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_expression_matches_whole_names_only() {
        let matches = |expression: &str, name: &str| {
            compile(expression).map(|compiled| compiled.is_match(name)).map_err(|told| told.code)
        };
        assert_eq!(matches("orders.*", "orders-v2"), Ok(true));
        assert_eq!(matches("orders", "orders-v2"), Ok(false));
        assert_eq!(matches("orders", "reorders"), Ok(false));
        assert_eq!(matches("a|b", "ab"), Ok(false));
        assert_eq!(matches("^a.*$", "abc"), Ok(true));
        assert_eq!(matches("(?i)ORDERS", "orders"), Ok(true));
        let wrong = Err(ErrorCode::InvalidRegularExpression);
        // Look-around and back-references are not in RE2's language.
        for bad in ["(", "a)(b", "[", "(?=a)", r"(a)\1", "*", "((a{1000}){1000}){1000}"] {
            assert_eq!(matches(bad, "a"), wrong, "{bad}");
        }
        assert_eq!(matches(&"a".repeat(EXPRESSION_BYTES_MAX + 1), "a"), wrong);
    }

    #[test]
    fn the_fingerprint_sees_topics_and_partitions() {
        let topic = |byte: u8, count| (TopicId::new([byte; 16]), count);
        let sets = [
            vec![],
            vec![topic(1, 1)],
            vec![topic(1, 2)],
            vec![topic(2, 1)],
            vec![topic(1, 1), topic(2, 1)],
        ];
        let prints: BTreeSet<i64> =
            sets.iter().map(|set| fingerprint(&set.iter().copied().collect())).collect();
        assert_eq!(prints.len(), sets.len());
        assert!(prints.contains(&0));
    }
}

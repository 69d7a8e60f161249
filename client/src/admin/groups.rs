//! Consumer groups: who is in them, how far they have read, and setting that anew.

use protocol::error_code::ErrorCode;

use super::Admin;
use crate::dialect::Peer;
use crate::error::ClientError;

/// A group in a list.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GroupListing {
    /// Its name.
    pub id: String,
    /// What kind of work is shared: `consumer`, `connect`, `sr` or any other word; empty if it only has offsets.
    pub protocol_type: String,
    /// Its state, such as `Stable` or `Empty`; empty from brokers that do not say.
    pub state: String,
    /// `classic` or `consumer`; empty from brokers that do not say.
    pub kind: String,
}

/// A group from near.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GroupView {
    /// Its name.
    pub id: String,
    /// Its state.
    pub state: String,
    /// What kind of work is shared.
    pub protocol_type: String,
    /// How it is shared, if the group is stable.
    pub protocol: String,
    /// Its members.
    pub members: Vec<GroupMember>,
}

/// A member of a group.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GroupMember {
    /// Its id.
    pub id: String,
    /// The name by which a static member comes back.
    pub instance_id: Option<String>,
    /// What the client calls itself.
    pub client_id: String,
    /// Where it connects from.
    pub host: String,
    /// The partitions that it reads, by topic and number.
    pub partitions: Vec<(String, i32)>,
}

/// How far a group has read a partition.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GroupOffset {
    /// The topic.
    pub topic: String,
    /// The partition.
    pub partition: i32,
    /// The next offset to read.
    pub offset: i64,
}

impl Admin {
    /// Every group of the cluster, by name.
    ///
    /// # Errors
    /// [`ClientError`] if a broker does not answer, or speaks only the native protocol.
    pub async fn list_groups(&self) -> Result<Vec<GroupListing>, ClientError> {
        let mut groups = Vec::new();
        for broker in self.describe_cluster().await?.brokers {
            groups.extend(
                self.while_loading(async || {
                    self.cluster.peer(broker.id).await?.list_groups().await
                })
                .await?,
            );
        }
        groups.sort_by(|one: &GroupListing, other| one.id.cmp(&other.id));
        Ok(groups)
    }

    /// A group's state and members, whichever protocol it speaks.
    ///
    /// # Errors
    /// [`ClientError::Refused`] with [`ErrorCode::GroupIdNotFound`].
    pub async fn describe_group(&self, group: &str) -> Result<GroupView, ClientError> {
        self.while_loading(async || self.home(group).await?.describe_group(group).await).await
    }

    /// How far a group has read, by topic and partition.
    ///
    /// # Errors
    /// [`ClientError`] if the group's broker does not answer.
    pub async fn group_offsets(&self, group: &str) -> Result<Vec<GroupOffset>, ClientError> {
        let ask = async || self.home(group).await?.group_offsets(group).await;
        let mut offsets = self.while_loading(ask).await?;
        offsets.sort_by(|one, other| {
            (&one.topic, one.partition).cmp(&(&other.topic, other.partition))
        });
        Ok(offsets)
    }

    /// Sets how far a group has read; offsets of one topic stand together. They are on disk when this returns.
    ///
    /// # Errors
    /// [`ClientError::Refused`] with [`ErrorCode::UnknownMemberId`] while the group has members.
    pub async fn set_group_offsets(
        &self,
        group: &str,
        offsets: &[GroupOffset],
    ) -> Result<(), ClientError> {
        let ask = async || self.home(group).await?.set_group_offsets(group, offsets).await;
        self.while_loading(ask).await
    }

    /// Forgets a group and how far it has read.
    ///
    /// # Errors
    /// [`ClientError::Refused`] with [`ErrorCode::NonEmptyGroup`] or [`ErrorCode::GroupIdNotFound`].
    pub async fn delete_group(&self, group: &str) -> Result<(), ClientError> {
        self.while_loading(async || self.home(group).await?.delete_group(group).await).await
    }

    async fn home(&self, group: &str) -> Result<Peer, ClientError> {
        let broker = self.peer().await?.find_group(group).await?;
        self.cluster.peer(broker).await
    }

    /// Asks again while a group's home is being loaded, or has moved.
    async fn while_loading<T>(
        &self,
        ask: impl AsyncFn() -> Result<T, ClientError>,
    ) -> Result<T, ClientError> {
        let (world, config) = (self.cluster.world(), self.cluster.config());
        let deadline = world.now() + config.metadata_timeout;
        loop {
            let outcome = ask().await;
            let passes = matches!(
                &outcome,
                Err(ClientError::Refused {
                    code: ErrorCode::CoordinatorLoadInProgress
                        | ErrorCode::CoordinatorNotAvailable
                        | ErrorCode::NotCoordinator,
                    ..
                })
            );
            if !passes || world.now() >= deadline {
                return outcome;
            }
            world.sleep(config.retry_pause).await;
        }
    }
}

//! Every error code of the Kafka protocol: its number, its name, and whether trying again may help.

use std::fmt;

/// What follows a code in the table: may the client send the same request again?
macro_rules! may_retry {
    (retriable) => {
        true
    };
    (final) => {
        false
    };
}

macro_rules! error_codes {
    ($($(#[$meta:meta])* $code:literal $name:ident $kafka:literal $retry:tt: $about:literal;)*) => {
        /// How Kafka says what went wrong (the protocol guide's error table, Kafka 4.3).
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
        #[repr(i16)]
        pub enum ErrorCode {
            $(
                $(#[$meta])*
                #[doc = concat!($about, " (", $code, ", `", $kafka, "`)")]
                $name = $code,
            )*
        }

        impl ErrorCode {
            /// Every code, in the order of their numbers.
            pub const ALL: &[Self] = &[$(Self::$name),*];

            /// The code of this number; `None` if Kafka has none.
            pub const fn new(code: i16) -> Option<Self> {
                match code {
                    $($code => Some(Self::$name),)*
                    _ => None,
                }
            }

            /// Kafka's name, such as `UNKNOWN_TOPIC_OR_PARTITION`.
            pub const fn name(self) -> &'static str {
                match self {
                    $(Self::$name => $kafka,)*
                }
            }

            /// One sentence for a human.
            pub const fn about(self) -> &'static str {
                match self {
                    $(Self::$name => $about,)*
                }
            }

            /// Whether Kafka's own client would try the same request again.
            pub const fn retriable(self) -> bool {
                match self {
                    $(Self::$name => may_retry!($retry),)*
                }
            }
        }
    };
}

error_codes! {
    -1 UnknownServerError "UNKNOWN_SERVER_ERROR" final: "Something failed that has no code of its own.";
    #[default]
    0 None "NONE" final: "No error.";
    1 OffsetOutOfRange "OFFSET_OUT_OF_RANGE" final: "The offset lies outside what the partition holds.";
    2 CorruptMessage "CORRUPT_MESSAGE" retriable: "A batch's checksum, size or layout is wrong.";
    3 UnknownTopicOrPartition "UNKNOWN_TOPIC_OR_PARTITION" retriable: "This broker has no such topic or partition.";
    4 InvalidFetchSize "INVALID_FETCH_SIZE" final: "The size asked for cannot be served.";
    5 LeaderNotAvailable "LEADER_NOT_AVAILABLE" retriable: "The partition has no leader at the moment.";
    6 NotLeaderOrFollower "NOT_LEADER_OR_FOLLOWER" retriable: "This broker does not lead the partition, or does not hold it.";
    7 RequestTimedOut "REQUEST_TIMED_OUT" retriable: "The time allowed ran out; the operation may still succeed.";
    8 BrokerNotAvailable "BROKER_NOT_AVAILABLE" final: "The broker cannot be reached.";
    9 ReplicaNotAvailable "REPLICA_NOT_AVAILABLE" retriable: "The replica cannot be read at the moment.";
    10 MessageTooLarge "MESSAGE_TOO_LARGE" final: "A batch exceeds the topic's `max.message.bytes`.";
    11 StaleControllerEpoch "STALE_CONTROLLER_EPOCH" final: "The controller moved on to a newer epoch.";
    12 OffsetMetadataTooLarge "OFFSET_METADATA_TOO_LARGE" final: "The text committed with an offset is too long.";
    13 NetworkException "NETWORK_EXCEPTION" retriable: "The connection ended before the answer came.";
    14 CoordinatorLoadInProgress "COORDINATOR_LOAD_IN_PROGRESS" retriable: "The group's home is still reading its state.";
    15 CoordinatorNotAvailable "COORDINATOR_NOT_AVAILABLE" retriable: "The group has no home at the moment.";
    16 NotCoordinator "NOT_COORDINATOR" retriable: "The group's home is another broker.";
    17 InvalidTopicException "INVALID_TOPIC_EXCEPTION" final: "The topic's name is not allowed.";
    18 RecordListTooLarge "RECORD_LIST_TOO_LARGE" final: "A batch exceeds what a segment can hold.";
    19 NotEnoughReplicas "NOT_ENOUGH_REPLICAS" retriable: "Fewer replicas are in sync than the topic demands; nothing was written.";
    20 NotEnoughReplicasAfterAppend "NOT_ENOUGH_REPLICAS_AFTER_APPEND" retriable: "The batch was written, but to fewer in-sync replicas than demanded.";
    21 InvalidRequiredAcks "INVALID_REQUIRED_ACKS" final: "Acks other than 0, 1 or -1.";
    22 IllegalGeneration "ILLEGAL_GENERATION" final: "The member speaks of a generation that is not the group's.";
    23 InconsistentGroupProtocol "INCONSISTENT_GROUP_PROTOCOL" final: "The member's protocols do not meet the group's.";
    24 InvalidGroupId "INVALID_GROUP_ID" final: "The group's id is not allowed.";
    25 UnknownMemberId "UNKNOWN_MEMBER_ID" final: "The group has no such member.";
    26 InvalidSessionTimeout "INVALID_SESSION_TIMEOUT" final: "The session timeout lies outside the broker's limits.";
    27 RebalanceInProgress "REBALANCE_IN_PROGRESS" final: "The group is rebalancing; join again.";
    28 InvalidCommitOffsetSize "INVALID_COMMIT_OFFSET_SIZE" final: "The commit is larger than an offset record may be.";
    29 TopicAuthorizationFailed "TOPIC_AUTHORIZATION_FAILED" final: "Not allowed on this topic.";
    30 GroupAuthorizationFailed "GROUP_AUTHORIZATION_FAILED" final: "Not allowed on this group.";
    31 ClusterAuthorizationFailed "CLUSTER_AUTHORIZATION_FAILED" final: "Not allowed on the cluster.";
    32 InvalidTimestamp "INVALID_TIMESTAMP" final: "A timestamp lies too far from the broker's clock.";
    33 UnsupportedSaslMechanism "UNSUPPORTED_SASL_MECHANISM" final: "The broker does not offer this way to authenticate.";
    34 IllegalSaslState "ILLEGAL_SASL_STATE" final: "Not valid at this point of authentication.";
    35 UnsupportedVersion "UNSUPPORTED_VERSION" final: "The broker does not speak this version of the API.";
    36 TopicAlreadyExists "TOPIC_ALREADY_EXISTS" final: "A topic of this name exists.";
    37 InvalidPartitions "INVALID_PARTITIONS" final: "A number of partitions that cannot be.";
    38 InvalidReplicationFactor "INVALID_REPLICATION_FACTOR" final: "Fewer than one replica, or more than there are brokers.";
    39 InvalidReplicaAssignment "INVALID_REPLICA_ASSIGNMENT" final: "The replicas named for a partition cannot be.";
    40 InvalidConfig "INVALID_CONFIG" final: "A configuration value is not allowed.";
    41 NotController "NOT_CONTROLLER" retriable: "This broker is not the controller.";
    42 InvalidRequest "INVALID_REQUEST" final: "The request contradicts itself or breaks a limit.";
    43 UnsupportedForMessageFormat "UNSUPPORTED_FOR_MESSAGE_FORMAT" final: "The batch format on disk cannot do this.";
    44 PolicyViolation "POLICY_VIOLATION" final: "A policy of the cluster forbids it.";
    45 OutOfOrderSequenceNumber "OUT_OF_ORDER_SEQUENCE_NUMBER" final: "A producer's sequence has a gap.";
    46 DuplicateSequenceNumber "DUPLICATE_SEQUENCE_NUMBER" final: "A batch that is already written and too old to be recognised.";
    47 InvalidProducerEpoch "INVALID_PRODUCER_EPOCH" final: "The producer's epoch is older than the one on record.";
    48 InvalidTxnState "INVALID_TXN_STATE" final: "The transaction is not in a state that allows it.";
    49 InvalidProducerIdMapping "INVALID_PRODUCER_ID_MAPPING" final: "The producer id does not belong to the transactional id.";
    50 InvalidTransactionTimeout "INVALID_TRANSACTION_TIMEOUT" final: "The transaction's timeout exceeds the broker's limit.";
    51 ConcurrentTransactions "CONCURRENT_TRANSACTIONS" retriable: "An earlier transaction of the same id has not ended.";
    52 TransactionCoordinatorFenced "TRANSACTION_COORDINATOR_FENCED" final: "The transaction's home has moved on to a newer epoch.";
    53 TransactionalIdAuthorizationFailed "TRANSACTIONAL_ID_AUTHORIZATION_FAILED" final: "Not allowed on this transactional id.";
    54 SecurityDisabled "SECURITY_DISABLED" final: "No authorizer is configured.";
    55 OperationNotAttempted "OPERATION_NOT_ATTEMPTED" final: "Not tried, because another part of the request failed.";
    56 KafkaStorageError "KAFKA_STORAGE_ERROR" retriable: "The disk failed or its log directory is fenced.";
    57 LogDirNotFound "LOG_DIR_NOT_FOUND" final: "The broker has no such log directory.";
    58 SaslAuthenticationFailed "SASL_AUTHENTICATION_FAILED" final: "Wrong credentials.";
    59 UnknownProducerId "UNKNOWN_PRODUCER_ID" final: "The broker holds no state for this producer.";
    60 ReassignmentInProgress "REASSIGNMENT_IN_PROGRESS" final: "The partition is being moved.";
    61 DelegationTokenAuthDisabled "DELEGATION_TOKEN_AUTH_DISABLED" final: "Delegation tokens are switched off.";
    62 DelegationTokenNotFound "DELEGATION_TOKEN_NOT_FOUND" final: "No such delegation token.";
    63 DelegationTokenOwnerMismatch "DELEGATION_TOKEN_OWNER_MISMATCH" final: "The delegation token belongs to somebody else.";
    64 DelegationTokenRequestNotAllowed "DELEGATION_TOKEN_REQUEST_NOT_ALLOWED" final: "Delegation tokens cannot be asked for on this connection.";
    65 DelegationTokenAuthorizationFailed "DELEGATION_TOKEN_AUTHORIZATION_FAILED" final: "Not allowed on this delegation token.";
    66 DelegationTokenExpired "DELEGATION_TOKEN_EXPIRED" final: "The delegation token has expired.";
    67 InvalidPrincipalType "INVALID_PRINCIPAL_TYPE" final: "A principal of a kind that is not supported.";
    68 NonEmptyGroup "NON_EMPTY_GROUP" final: "The group still has members.";
    69 GroupIdNotFound "GROUP_ID_NOT_FOUND" final: "No such group.";
    70 FetchSessionIdNotFound "FETCH_SESSION_ID_NOT_FOUND" retriable: "No such fetch session.";
    71 InvalidFetchSessionEpoch "INVALID_FETCH_SESSION_EPOCH" retriable: "A fetch session's epoch is not the expected one.";
    72 ListenerNotFound "LISTENER_NOT_FOUND" retriable: "The leader has no listener of the name this request came in by.";
    73 TopicDeletionDisabled "TOPIC_DELETION_DISABLED" final: "Deleting topics is switched off.";
    74 FencedLeaderEpoch "FENCED_LEADER_EPOCH" retriable: "The client's leader epoch is older than the broker's.";
    75 UnknownLeaderEpoch "UNKNOWN_LEADER_EPOCH" retriable: "The client's leader epoch is newer than the broker's.";
    76 UnsupportedCompressionType "UNSUPPORTED_COMPRESSION_TYPE" final: "The client's version cannot read the batch's compression.";
    77 StaleBrokerEpoch "STALE_BROKER_EPOCH" final: "The broker has registered again since.";
    78 OffsetNotAvailable "OFFSET_NOT_AVAILABLE" retriable: "The new leader's high watermark has not caught up yet.";
    79 MemberIdRequired "MEMBER_ID_REQUIRED" final: "Join again with the member id in the answer.";
    80 PreferredLeaderNotAvailable "PREFERRED_LEADER_NOT_AVAILABLE" retriable: "The preferred leader cannot lead.";
    81 GroupMaxSizeReached "GROUP_MAX_SIZE_REACHED" final: "The group is full.";
    82 FencedInstanceId "FENCED_INSTANCE_ID" final: "Another member took over this static id.";
    83 EligibleLeadersNotAvailable "ELIGIBLE_LEADERS_NOT_AVAILABLE" retriable: "No replica can lead.";
    84 ElectionNotNeeded "ELECTION_NOT_NEEDED" retriable: "The leader is already the right one.";
    85 NoReassignmentInProgress "NO_REASSIGNMENT_IN_PROGRESS" final: "The partition is not being moved.";
    86 GroupSubscribedToTopic "GROUP_SUBSCRIBED_TO_TOPIC" final: "The group still reads this topic.";
    87 InvalidRecord "INVALID_RECORD" final: "A record breaks the rules of its batch or topic.";
    88 UnstableOffsetCommit "UNSTABLE_OFFSET_COMMIT" retriable: "Offsets of an open transaction stand in the way.";
    89 ThrottlingQuotaExceeded "THROTTLING_QUOTA_EXCEEDED" retriable: "A quota is used up; wait and try again.";
    90 ProducerFenced "PRODUCER_FENCED" final: "A newer producer uses the same transactional id.";
    91 ResourceNotFound "RESOURCE_NOT_FOUND" final: "What the request names does not exist.";
    92 DuplicateResource "DUPLICATE_RESOURCE" final: "The request names the same thing twice.";
    93 UnacceptableCredential "UNACCEPTABLE_CREDENTIAL" final: "The credential breaks the rules.";
    94 InconsistentVoterSet "INCONSISTENT_VOTER_SET" final: "The voters named are not the quorum's.";
    95 InvalidUpdateVersion "INVALID_UPDATE_VERSION" final: "The version of the update is not the expected one.";
    96 FeatureUpdateFailed "FEATURE_UPDATE_FAILED" final: "The finalized features could not be changed.";
    97 PrincipalDeserializationFailure "PRINCIPAL_DESERIALIZATION_FAILURE" final: "A forwarded principal cannot be read.";
    98 SnapshotNotFound "SNAPSHOT_NOT_FOUND" final: "No such snapshot.";
    99 PositionOutOfRange "POSITION_OUT_OF_RANGE" final: "The position lies outside the snapshot.";
    100 UnknownTopicId "UNKNOWN_TOPIC_ID" retriable: "This broker has no topic of that id.";
    101 DuplicateBrokerRegistration "DUPLICATE_BROKER_REGISTRATION" final: "Another live broker uses the same id.";
    102 BrokerIdNotRegistered "BROKER_ID_NOT_REGISTERED" final: "The broker has not registered.";
    103 InconsistentTopicId "INCONSISTENT_TOPIC_ID" retriable: "The topic id is not the partition's.";
    104 InconsistentClusterId "INCONSISTENT_CLUSTER_ID" final: "The request names another cluster.";
    105 TransactionalIdNotFound "TRANSACTIONAL_ID_NOT_FOUND" final: "No such transactional id.";
    106 FetchSessionTopicIdError "FETCH_SESSION_TOPIC_ID_ERROR" retriable: "A fetch session met topics with and without ids.";
    107 IneligibleReplica "INELIGIBLE_REPLICA" final: "The replica may not join the in-sync set.";
    108 NewLeaderElected "NEW_LEADER_ELECTED" final: "The change made another broker the leader.";
    109 OffsetMovedToTieredStorage "OFFSET_MOVED_TO_TIERED_STORAGE" final: "The offset lies in tiered storage.";
    110 FencedMemberEpoch "FENCED_MEMBER_EPOCH" final: "The member's epoch is older than the group's.";
    111 UnreleasedInstanceId "UNRELEASED_INSTANCE_ID" final: "Another member still holds this static id.";
    112 UnsupportedAssignor "UNSUPPORTED_ASSIGNOR" final: "The group does not offer this assignor.";
    113 StaleMemberEpoch "STALE_MEMBER_EPOCH" final: "The member must learn its new epoch first.";
    114 MismatchedEndpointType "MISMATCHED_ENDPOINT_TYPE" final: "The request reached the wrong kind of endpoint.";
    115 UnsupportedEndpointType "UNSUPPORTED_ENDPOINT_TYPE" final: "No such kind of endpoint.";
    116 UnknownControllerId "UNKNOWN_CONTROLLER_ID" final: "No such controller.";
    117 UnknownSubscriptionId "UNKNOWN_SUBSCRIPTION_ID" final: "The telemetry subscription is out of date.";
    118 TelemetryTooLarge "TELEMETRY_TOO_LARGE" final: "The telemetry is larger than allowed.";
    119 InvalidRegistration "INVALID_REGISTRATION" final: "The registration cannot be accepted.";
    120 TransactionAbortable "TRANSACTION_ABORTABLE" final: "The transaction must be aborted; the producer may go on.";
    121 InvalidRecordState "INVALID_RECORD_STATE" final: "A shared record is not in a state that allows it.";
    122 ShareSessionNotFound "SHARE_SESSION_NOT_FOUND" retriable: "No such share session.";
    123 InvalidShareSessionEpoch "INVALID_SHARE_SESSION_EPOCH" retriable: "A share session's epoch is not the expected one.";
    124 FencedStateEpoch "FENCED_STATE_EPOCH" final: "The share state has a newer epoch.";
    125 InvalidVoterKey "INVALID_VOTER_KEY" final: "The voter's key is not the quorum's.";
    126 DuplicateVoter "DUPLICATE_VOTER" final: "The voter is already in the quorum.";
    127 VoterNotFound "VOTER_NOT_FOUND" final: "The quorum has no such voter.";
    128 InvalidRegularExpression "INVALID_REGULAR_EXPRESSION" final: "The regular expression cannot be read.";
    129 RebootstrapRequired "REBOOTSTRAP_REQUIRED" final: "The client's picture of the cluster is wrong; it must bootstrap again.";
    130 StreamsInvalidTopology "STREAMS_INVALID_TOPOLOGY" final: "The streams topology is not valid.";
    131 StreamsInvalidTopologyEpoch "STREAMS_INVALID_TOPOLOGY_EPOCH" final: "The streams topology's epoch is not valid.";
    132 StreamsTopologyFenced "STREAMS_TOPOLOGY_FENCED" final: "A newer streams topology has taken over.";
    133 ShareSessionLimitReached "SHARE_SESSION_LIMIT_REACHED" retriable: "The broker holds as many share sessions as it may.";
}

impl ErrorCode {
    /// The number as the wire carries it.
    pub const fn code(self) -> i16 {
        self as i16
    }

    /// The code of this number; a number that Kafka does not know counts as [`Self::UnknownServerError`],
    /// as in Kafka's own client.
    pub fn from_wire(code: i16) -> Self {
        Self::new(code).unwrap_or(Self::UnknownServerError)
    }

    /// Whether there is an error at all.
    pub const fn is_error(self) -> bool {
        !matches!(self, Self::None)
    }
}

impl fmt::Display for ErrorCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} ({})", self.name(), self.code())
    }
}

#[cfg(test)]
mod tests;

"""The differences that are known, each as narrow as it can be said, with its reason.

A row that no difference meets any more fails the run, so that the table shrinks when Corelog learns.
"""

import re

ELR = "Kafka's eligible leader replicas (KIP-966) set min.insync.replicas=1 for the cluster; one replica needs none"
MEMBERS = "Corelog bounds groups at 1,000 members unless it is told otherwise"
LIMITS = "Corelog bounds what strangers may use ([limits]); Kafka does not"
ADDRESSES = "Corelog's controller is no listener of its own"

BROKER = "kafka-configs --describe --all --entity-type brokers --entity-name 1"
TYPES = "types broker 1"

# Parts of what Kafka prints that Corelog prints not, or otherwise: command, what stands there, what stands here, reason.
REWRITES = [
    (r"kafka-topics --describe.*", r"(Configs: .*?)min\.insync\.replicas=1,?", r"\1", ELR),
    (r"kafka-configs --describe --all .*", r"DYNAMIC_DEFAULT_BROKER_CONFIG:(min\.insync\.replicas=1), DEFAULT", "DEFAULT",
     ELR),
]

# Whole lines: command, line ("-" Apache Kafka, "+" Corelog), reason.
KNOWN = [
    (r"kafka-topics --describe --topics-with-overrides",
     r"- Topic: \S+ TopicId: ID PartitionCount: \d ReplicationFactor: 1 Configs:", ELR),
    (r"kafka-configs --describe --entity-type brokers( --entity-default)?",
     r"- min\.insync\.replicas=1 sensitive=false synonyms=\{DYNAMIC_DEFAULT_BROKER_CONFIG:min\.insync\.replicas=1\}", ELR),
]


def exactly(command, reason, text):
    """Rows for these lines and no others."""
    return [(re.escape(command), re.escape(line.strip()), reason) for line in text.strip().splitlines()]


def altered(kind, name, arguments, error, refuses="+"):
    """What kafka-configs says when one side refuses an alteration and the other takes it."""
    takes = "-" if refuses == "+" else "+"
    return f"""
        {refuses} exit code 1
        {refuses} Error while executing config command with args '{arguments} --bootstrap-server 127.0.0.1:PORT'
        {refuses} java.util.concurrent.ExecutionException: org.apache.kafka.common.errors.{error}
        {refuses} Caused by: org.apache.kafka.common.errors.{error}
        {takes} exit code 0
        {takes} Completed updating config for {kind} {name}."""


UNKNOWN_KEY = "--alter --entity-type brokers --entity-name 1 --add-config no.such.key=1"
KNOWN += exactly(
    f"kafka-configs {UNKNOWN_KEY}",
    "Kafka keeps names that it does not know for its plug-ins; Corelog has none and refuses what may be misspelt",
    altered("broker", 1, UNKNOWN_KEY,
            "InvalidRequestException: Cannot update these configs dynamically: [no.such.key]"))
for arguments, told in [
    ("--alter --topic __consumer_offsets --partitions 60", "is internal: its number of partitions is fixed."),
    ("--delete --topic __consumer_offsets", "is internal and cannot be deleted."),
]:
    KNOWN += exactly(
        f"kafka-topics {arguments}",
        "Kafka lets anybody delete or resize the topic of offsets, which loses or misplaces them; Corelog refuses",
        f"""
            - exit code 0
            + exit code 1
            + Error while executing topic command : Topic '__consumer_offsets' {told}""")
OLD_KEY = "--alter --entity-type topics --entity-name plain --add-config message.format.version=2.8"
KNOWN += exactly(
    f"kafka-configs {OLD_KEY}",
    "Corelog still takes the names that Kafka 4 gave up, without effect, because old tools send them",
    altered("topic", "plain", OLD_KEY,
            "InvalidConfigurationException: Unknown topic config name: message.format.version", refuses="-"))
KNOWN += exactly(
    "kafka-configs --describe --entity-type broker-loggers --entity-name 1",
    "Corelog does not log through log4j: it has no loggers to list",
    """
        - org.apache.kafka.server.logger.LoggingController=ERROR sensitive=false synonyms={}
        - root=ERROR sensitive=false synonyms={}""")
KNOWN += exactly(
    "kafka-configs --describe --entity-type users",
    "no quotas and no SCRAM: DescribeClientQuotas and DescribeUserScramCredentials are not advertised",
    """
        - exit code 0
        + exit code 1
        + Error while executing config command with args '--describe --entity-type users --bootstrap-server 127.0.0.1:PORT'
        + java.util.concurrent.ExecutionException: org.apache.kafka.common.errors.UnsupportedVersionException: The node does not support DESCRIBE_CLIENT_QUOTAS
        + Caused by: org.apache.kafka.common.errors.UnsupportedVersionException: The node does not support DESCRIBE_CLIENT_QUOTAS""")

# Settings of one group that groups of other kinds have.
GROUP_KEYS = {
    "no share groups": """
        share.assignment.interval.ms share.auto.offset.reset share.delivery.count.limit share.heartbeat.interval.ms
        share.isolation.level share.partition.max.record.locks share.record.lock.duration.ms
        share.renew.acknowledge.enable share.session.timeout.ms""",
    "no streams groups": """
        streams.assignment.interval.ms streams.heartbeat.interval.ms streams.initial.rebalance.delay.ms
        streams.num.standby.replicas streams.session.timeout.ms""",
    "Corelog's group coordinator assigns at once, and lives on the shards, without threads or buffers of its own":
        "consumer.assignment.interval.ms",
}
KNOWN += [(r"kafka-configs --describe --all --entity-type groups --entity-name (nobody|new)", rf"- {re.escape(key)}=.*",
           reason) for reason, keys in GROUP_KEYS.items() for key in keys.split()]

OFFLOAD = "Kafka 4.3 begins a group's epochs at 1, for assignments that are computed later (KAFKA-20268); Corelog assigns at once"
KNOWN += [
    ("kafka-consumer-groups --describe --group new --state --verbose", line, OFFLOAD)
    for members in (1, 2)
    for line in (rf"- new 127\.0\.0\.1:PORT \(1\) uniform Stable {members + 1} {members + 1} {members}",
                 rf"\+ new 127\.0\.0\.1:PORT \(1\) uniform Stable {members} {members} {members}")
]
KNOWN += [
    ("kafka-consumer-groups --describe --group new --members --verbose", rf"{side} new ID /127\.0\.0\.1 {rest}", OFFLOAD)
    for side, epoch in (("-", 3), (r"\+", 2))
    for rest in (f"delta 4 {epoch} plain:0,1,2,3 {epoch} plain:0,1,2,3", f"gamma 3 {epoch} orders:0,1,2 {epoch} orders:0,1,2")
]

# Configs of a broker that both list, with other values: name, Kafka's, Corelog's, reason.
OTHERWISE = [
    ("fetch.max.bytes", "57671680 ", "16777216 ", LIMITS),
    ("group.consumer.max.size", "2147483647 ", "1000 ", MEMBERS),
    ("group.max.size", "2147483647 ", "1000 ", MEMBERS),
    ("max.connections", "2147483647 ", "10000 ", LIMITS),
    ("max.connections.per.ip", "2147483647 ", "1000 ", LIMITS),
    ("listeners", "PLAINTEXT://127.0.0.1:PORT,CONTROLLER://127.0.0.1:PORT2 ", "PLAINTEXT://127.0.0.1:PORT ", ADDRESSES),
    ("listener.security.protocol.map", "PLAINTEXT:PLAINTEXT,CONTROLLER:PLAINTEXT ", "SASL_SSL:SASL_SSL,", ADDRESSES),
    ("sasl.enabled.mechanisms", "GSSAPI ", " ", "no SASL yet"),
]
for name, theirs, ours, reason in OTHERWISE:
    KNOWN += [(re.escape(BROKER), re.escape(f"{side} {name}={value}") + ".*", reason)
              for side, value in (("-", theirs), ("+", ours))]

# Configs that Kafka can change while it runs, and Corelog reads once.
FIXED = [("listener.security.protocol.map", "STRING"), ("listeners", "LIST"), ("log.cleaner.dedupe.buffer.size", "LONG"),
         ("sasl.enabled.mechanisms", "LIST")]
for name, kind in FIXED:
    KNOWN += [(re.escape(TYPES), re.escape(line), "read once, at start")
              for line in (f"- {name}={kind}", f"+ {name}={kind} read-only")]

# Configs that only Kafka's broker has, by the part of Kafka that Corelog has not.
ABSENT = [
    ("no Raft quorum: one broker decides for itself", """
        broker.heartbeat.interval.ms broker.session.timeout.ms controller.listener.names
        controller.quorum.append.linger.ms controller.quorum.auto.join.enable controller.quorum.bootstrap.servers
        controller.quorum.election.backoff.max.ms controller.quorum.election.timeout.ms controller.quorum.fetch.max.bytes
        controller.quorum.fetch.snapshot.max.bytes controller.quorum.fetch.timeout.ms controller.quorum.request.timeout.ms
        controller.quorum.retry.backoff.ms controller.quorum.voters controller.socket.timeout.ms
        initial.broker.registration.timeout.ms leader.imbalance.check.interval.seconds metadata.log.dir
        metadata.log.max.record.bytes.between.snapshots metadata.log.max.snapshot.interval.ms metadata.log.segment.bytes
        metadata.log.segment.ms metadata.max.idle.interval.ms metadata.max.retention.bytes metadata.max.retention.ms"""),
    ("no replication between brokers yet", """
        inter.broker.listener.name replica.fetch.backoff.ms replica.fetch.response.max.bytes
        replica.high.watermark.checkpoint.interval.ms replica.socket.receive.buffer.bytes replica.socket.timeout.ms
        security.inter.broker.protocol socket.connection.setup.timeout.max.ms socket.connection.setup.timeout.ms"""),
    ("no transactions yet", """
        add.partitions.to.txn.retry.backoff.max.ms add.partitions.to.txn.retry.backoff.ms
        transaction.abort.timed.out.transaction.cleanup.interval.ms transaction.partition.verification.enable
        transaction.remove.expired.transaction.cleanup.interval.ms transaction.state.log.load.buffer.size
        transaction.two.phase.commit.enable"""),
    ("no TLS, SASL or authorizer yet", """
        authorizer.class.name connection.failed.authentication.delay.ms connections.max.reauth.ms
        delegation.token.expiry.check.interval.ms delegation.token.expiry.time.ms delegation.token.max.lifetime.ms
        delegation.token.secret.key early.start.listeners principal.builder.class sasl.client.callback.handler.class
        sasl.jaas.config sasl.kerberos.kinit.cmd sasl.kerberos.min.time.before.relogin
        sasl.kerberos.principal.to.local.rules sasl.kerberos.service.name sasl.kerberos.ticket.renew.jitter
        sasl.kerberos.ticket.renew.window.factor sasl.login.callback.handler.class sasl.login.class
        sasl.login.connect.timeout.ms sasl.login.read.timeout.ms sasl.login.refresh.buffer.seconds
        sasl.login.refresh.min.period.seconds sasl.login.refresh.window.factor sasl.login.refresh.window.jitter
        sasl.login.retry.backoff.max.ms sasl.login.retry.backoff.ms sasl.mechanism.controller.protocol
        sasl.mechanism.inter.broker.protocol sasl.oauthbearer.assertion.algorithm sasl.oauthbearer.assertion.claim.aud
        sasl.oauthbearer.assertion.claim.exp.seconds sasl.oauthbearer.assertion.claim.iss
        sasl.oauthbearer.assertion.claim.jti.include sasl.oauthbearer.assertion.claim.nbf.seconds
        sasl.oauthbearer.assertion.claim.sub sasl.oauthbearer.assertion.file sasl.oauthbearer.assertion.private.key.file
        sasl.oauthbearer.assertion.private.key.passphrase sasl.oauthbearer.assertion.template.file
        sasl.oauthbearer.client.credentials.client.id sasl.oauthbearer.client.credentials.client.secret
        sasl.oauthbearer.clock.skew.seconds sasl.oauthbearer.expected.audience sasl.oauthbearer.expected.issuer
        sasl.oauthbearer.jwks.endpoint.refresh.ms sasl.oauthbearer.jwks.endpoint.retry.backoff.max.ms
        sasl.oauthbearer.jwks.endpoint.retry.backoff.ms sasl.oauthbearer.jwks.endpoint.url
        sasl.oauthbearer.jwt.retriever.class sasl.oauthbearer.jwt.validator.class sasl.oauthbearer.scope
        sasl.oauthbearer.scope.claim.name sasl.oauthbearer.sub.claim.name sasl.oauthbearer.token.endpoint.url
        sasl.server.callback.handler.class sasl.server.max.receive.size security.providers ssl.allow.dn.changes
        ssl.allow.san.changes ssl.cipher.suites ssl.client.auth ssl.enabled.protocols
        ssl.endpoint.identification.algorithm ssl.engine.factory.class ssl.key.password ssl.keymanager.algorithm
        ssl.keystore.certificate.chain ssl.keystore.key ssl.keystore.location ssl.keystore.password ssl.keystore.type
        ssl.principal.mapping.rules ssl.protocol ssl.provider ssl.secure.random.implementation
        ssl.trustmanager.algorithm ssl.truststore.certificates ssl.truststore.location ssl.truststore.password
        ssl.truststore.type"""),
    ("no tiered storage", """
        follower.fetch.last.tiered.offset.enable remote.fetch.max.wait.ms remote.list.offsets.request.timeout.ms
        remote.log.index.file.cache.total.size.bytes remote.log.manager.copier.thread.pool.size
        remote.log.manager.copy.max.bytes.per.second remote.log.manager.copy.quota.window.num
        remote.log.manager.copy.quota.window.size.seconds remote.log.manager.expiration.thread.pool.size
        remote.log.manager.fetch.max.bytes.per.second remote.log.manager.fetch.quota.window.num
        remote.log.manager.fetch.quota.window.size.seconds remote.log.manager.follower.thread.pool.size
        remote.log.manager.task.interval.ms remote.log.manager.thread.pool.size
        remote.log.metadata.custom.metadata.max.bytes remote.log.metadata.manager.class.name
        remote.log.metadata.manager.class.path remote.log.metadata.manager.impl.prefix
        remote.log.metadata.manager.listener.name remote.log.reader.max.pending.tasks remote.log.reader.threads
        remote.log.storage.manager.class.name remote.log.storage.manager.class.path remote.log.storage.manager.impl.prefix
        remote.log.storage.system.enable"""),
    ("no quotas", """
        alter.log.dirs.replication.quota.window.num alter.log.dirs.replication.quota.window.size.seconds
        client.quota.callback.class controller.quota.window.num controller.quota.window.size.seconds quota.window.num
        quota.window.size.seconds replication.quota.window.num replication.quota.window.size.seconds"""),
    ("no share groups", """
        group.share.assignment.interval.ms group.share.assignors group.share.delivery.count.limit
        group.share.heartbeat.interval.ms group.share.max.assignment.interval.ms group.share.max.delivery.count.limit
        group.share.max.heartbeat.interval.ms group.share.max.partition.max.record.locks
        group.share.max.record.lock.duration.ms group.share.max.session.timeout.ms group.share.max.share.sessions
        group.share.max.size group.share.min.assignment.interval.ms group.share.min.delivery.count.limit
        group.share.min.heartbeat.interval.ms group.share.min.partition.max.record.locks
        group.share.min.record.lock.duration.ms group.share.min.session.timeout.ms group.share.partition.max.record.locks
        group.share.record.lock.duration.ms group.share.session.timeout.ms share.coordinator.append.linger.ms
        share.coordinator.cached.buffer.max.bytes share.coordinator.load.buffer.size
        share.coordinator.snapshot.update.records.per.snapshot share.coordinator.state.topic.compression.codec
        share.coordinator.state.topic.min.isr share.coordinator.state.topic.num.partitions
        share.coordinator.state.topic.replication.factor share.coordinator.state.topic.segment.bytes
        share.coordinator.threads share.coordinator.write.timeout.ms share.fetch.purgatory.purge.interval.requests"""),
    ("no streams groups", """
        group.streams.assignment.interval.ms group.streams.heartbeat.interval.ms
        group.streams.initial.rebalance.delay.ms group.streams.max.assignment.interval.ms
        group.streams.max.heartbeat.interval.ms group.streams.max.session.timeout.ms group.streams.max.size
        group.streams.max.standby.replicas group.streams.min.assignment.interval.ms
        group.streams.min.heartbeat.interval.ms group.streams.min.session.timeout.ms
        group.streams.num.standby.replicas group.streams.session.timeout.ms"""),
    ("classic and KIP-848 groups are always served, there is no switch", "group.coordinator.rebalance.protocols"),
    ("Corelog's group coordinator assigns at once, and lives on the shards, without threads or buffers of its own", """
        group.consumer.assignment.interval.ms group.consumer.max.assignment.interval.ms
        group.consumer.min.assignment.interval.ms group.coordinator.append.linger.ms group.coordinator.background.threads
        group.coordinator.cached.buffer.max.bytes group.coordinator.threads
        offsets.commit.timeout.ms offsets.load.buffer.size offsets.topic.compression.codec"""),
    ("one log directory, one shard per core: no threads, checkpoints or purgatories to tune", """
        background.threads cordoned.log.dirs delete.records.purgatory.purge.interval.requests
        fetch.purgatory.purge.interval.requests log.cleaner.io.buffer.load.factor log.cleaner.io.buffer.size
        log.cleaner.io.max.bytes.per.second log.cleaner.threads log.dir.failure.timeout.ms
        log.flush.offset.checkpoint.interval.ms log.flush.start.offset.checkpoint.interval.ms
        num.replica.alter.log.dirs.threads producer.purgatory.purge.interval.requests queued.max.request.bytes"""),
    ("connections are limited by [limits], not by these", """
        max.connection.creation.rate max.connections.per.ip.overrides"""),
    ("no plug-ins, and metrics of its own", """
        alter.config.policy.class.name config.providers create.topic.policy.class.name kafka.metrics.polling.interval.secs
        kafka.metrics.reporters metric.reporters metrics.num.samples metrics.recording.level metrics.sample.window.ms
        telemetry.max.bytes"""),
]
for reason, names in ABSENT:
    KNOWN += [(re.escape(command), rf"- {re.escape(name)}=.*", reason)
              for name in names.split() for command in (BROKER, TYPES)]

# Requests that only Kafka serves.
UNSERVED = [
    ("no transactions yet", """
        AddPartitionsToTxn(24) AddOffsetsToTxn(25) EndTxn(26) WriteTxnMarkers(27) TxnOffsetCommit(28)
        DescribeTransactions(65) ListTransactions(66)"""),
    ("no TLS, SASL or authorizer yet", """
        SaslHandshake(17) DescribeAcls(29) CreateAcls(30) DeleteAcls(31) SaslAuthenticate(36) CreateDelegationToken(38)
        RenewDelegationToken(39) ExpireDelegationToken(40) DescribeDelegationToken(41) DescribeUserScramCredentials(50)
        AlterUserScramCredentials(51)"""),
    ("no quotas", "DescribeClientQuotas(48) AlterClientQuotas(49)"),
    ("no replication between brokers yet", """
        ElectLeaders(43) AlterPartitionReassignments(45) ListPartitionReassignments(46)"""),
    ("one log directory for each broker", "AlterReplicaLogDirs(34)"),
    ("no Raft quorum: one broker decides for itself", """
        DescribeQuorum(55) UpdateFeatures(57) UnregisterBroker(64) AddRaftVoter(80) RemoveRaftVoter(81)"""),
    ("no share groups", """
        ShareGroupHeartbeat(76) ShareGroupDescribe(77) ShareFetch(78) ShareAcknowledge(79) InitializeShareGroupState(83)
        ReadShareGroupState(84) WriteShareGroupState(85) DeleteShareGroupState(86) ReadShareGroupStateSummary(87)
        DescribeShareGroupOffsets(90) AlterShareGroupOffsets(91) DeleteShareGroupOffsets(92)"""),
    ("no streams groups", "StreamsGroupHeartbeat(88) StreamsGroupDescribe(89)"),
]
for reason, names in UNSERVED:
    for name in map(re.escape, names.split()):
        KNOWN += [("kafka-broker-api-versions", rf"- {name}: \d+( to \d+)? \[usable: \d+\],?", reason),
                  ("kafka-broker-api-versions", rf"\+ {name}: UNSUPPORTED,?", reason)]

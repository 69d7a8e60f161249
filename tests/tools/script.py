"""The script of commands, in order: what is run against both brokers.

A line is a tool and its arguments, as one would type them; `--bootstrap-server` is added. A line that begins with `~`
prints in the order of a hash table or of random ids, and is compared without regard to order. `produce`, `join`, `settle`
and `leave` (tests/clients/java/Tools.java) make what the tools look at; `types` is compared too. {work} is a directory, {hour-3} a moment three
hours before the start, as milliseconds; {date-3} the same moment as the tools take dates.
"""

TOOLS = {
    "kafka-topics": "org.apache.kafka.tools.TopicCommand",
    "kafka-configs": "kafka.admin.ConfigCommand",
    "kafka-consumer-groups": "org.apache.kafka.tools.consumer.group.ConsumerGroupCommand",
    "kafka-delete-records": "org.apache.kafka.tools.DeleteRecordsCommand",
    "kafka-log-dirs": "org.apache.kafka.tools.LogDirsCommand",
    "kafka-get-offsets": "org.apache.kafka.tools.GetOffsetShell",
    "kafka-broker-api-versions": "org.apache.kafka.tools.BrokerApiVersionsCommand",
    "kafka-groups": "org.apache.kafka.tools.GroupsCommand",
}

# Files that commands name, below {work}.
FILES = {
    "client.properties": "request.timeout.ms=2000\ndefault.api.timeout.ms=3000\n",
    "topic.properties": "retention.ms=7000000\nsegment.bytes=2097152\n",
    "delete.json": """{"version": 1, "partitions": [
        {"topic": "orders", "partition": 0, "offset": 2}, {"topic": "orders", "partition": 1, "offset": -1}]}""",
    "delete-too-far.json": """{"version": 1, "partitions": [
        {"topic": "orders", "partition": 0, "offset": 999}, {"topic": "orders", "partition": 2, "offset": 1}]}""",
    "delete-below.json": '{"version": 1, "partitions": [{"topic": "orders", "partition": 0, "offset": 1}]}',
    "delete-negative.json": '{"version": 1, "partitions": [{"topic": "orders", "partition": 0, "offset": -5}]}',
    "delete-unknown.json": '{"version": 1, "partitions": [{"topic": "nobody", "partition": 0, "offset": 1}]}',
    "delete-no-partition.json": '{"version": 1, "partitions": [{"topic": "orders", "partition": 9, "offset": 1}]}',
    "delete-plain.json": '{"version": 1, "partitions": [{"topic": "plain", "partition": 0, "offset": 1}]}',
    "delete-internal.json": '{"version": 1, "partitions": [{"topic": "__consumer_offsets", "partition": 0, "offset": 0}]}',
    "delete-twice.json": """{"version": 1, "partitions": [
        {"topic": "orders", "partition": 0, "offset": 3}, {"topic": "orders", "partition": 0, "offset": 3}]}""",
    "offsets.csv": '"orders",0,3\n"orders",2,1\n',
    "offsets-groups.csv": '"reader","orders",0,2\n"second","orders",1,4\n',
}

SCRIPT = r"""
kafka-topics --version
kafka-broker-api-versions
kafka-topics --list
kafka-topics --describe
kafka-topics --create --topic orders --partitions 3 --replication-factor 1 --config retention.ms=-1 --config cleanup.policy=compact,delete
kafka-topics --create --topic orders --partitions 3
kafka-topics --create --if-not-exists --topic orders --partitions 5
kafka-topics --create --topic plain
kafka-topics --create --topic by-hand --replica-assignment 1,1
kafka-topics --create --topic wide --replication-factor 2
kafka-topics --create --topic none --partitions 0
kafka-topics --create --topic bad/name
kafka-topics --create --topic ..
kafka-topics --create --topic longlonglonglonglonglonglonglonglonglonglonglonglonglonglonglonglonglonglonglonglonglonglonglonglonglonglonglonglonglonglonglonglonglonglonglonglonglonglonglonglonglonglonglonglonglonglonglonglonglonglonglonglonglonglonglonglonglonglonglonglonglonglonglonglonglonglonglonglonglong
kafka-topics --create --topic bad.factor --replication-factor 0
kafka-topics --create --topic bad.count --partitions -3
kafka-topics --create --topic bad.twice --replica-assignment 1:1
kafka-topics --create --topic bad.policy --config cleanup.policy=sometimes
kafka-topics --create --topic bad.tiers --config remote.storage.enable=true
kafka-topics --create --topic bad.config --config retention.ms=soon
kafka-topics --create --topic bad.key --config retention.years=1
kafka-topics --create --topic dots.and --partitions 2
kafka-topics --create --topic dots_and --partitions 2
kafka-topics --create --topic bad-assignment --replica-assignment 7,7
kafka-topics --list
kafka-topics --list --topic o.*
kafka-topics --describe --topic orders
kafka-topics --describe --topic orders --partition-size-limit-per-response 1
kafka-topics --describe
kafka-topics --describe --topic nobody
kafka-topics --describe --if-exists --topic nobody
kafka-topics --describe --topics-with-overrides
kafka-topics --describe --exclude-internal
kafka-topics --describe --under-replicated-partitions
kafka-topics --describe --unavailable-partitions
kafka-topics --describe --under-min-isr-partitions
kafka-topics --describe --at-min-isr-partitions --topic orders
kafka-topics --alter --topic plain --partitions 4
kafka-topics --alter --topic plain --partitions 2
kafka-topics --alter --topic plain --partitions 4
kafka-topics --alter --topic nobody --partitions 4
kafka-topics --alter --if-exists --topic nobody --partitions 4
kafka-topics --describe --topic plain
kafka-topics --delete --topic dots.and
kafka-topics --delete --topic nobody
kafka-topics --delete --if-exists --topic nobody
kafka-topics --list

kafka-configs --describe --entity-type topics --entity-name orders
kafka-configs --describe --entity-type topics
kafka-configs --describe --all --entity-type topics --entity-name orders
kafka-configs --describe --all --topic plain
kafka-configs --describe --entity-type topics --entity-name nobody
kafka-configs --alter --entity-type topics --entity-name plain --add-config retention.ms=3600000,max.message.bytes=2000000
kafka-configs --alter --entity-type topics --entity-name plain --add-config cleanup.policy=[delete,compact]
kafka-configs --describe --topic plain
kafka-configs --alter --entity-type topics --entity-name plain --delete-config retention.ms
kafka-configs --alter --entity-type topics --entity-name plain --delete-config retention.ms
kafka-configs --alter --entity-type topics --entity-name plain --delete-config no.such.key
kafka-configs --alter --entity-type topics --entity-name plain --add-config-file {work}/topic.properties
kafka-configs --describe --topic plain
kafka-configs --alter --entity-type topics --entity-name plain --add-config retention.ms=soon
kafka-configs --alter --entity-type topics --entity-name plain --add-config retention.ms=-2
kafka-configs --alter --entity-type topics --entity-name plain --add-config retention.years=1
kafka-configs --alter --entity-type topics --entity-name plain --add-config cleanup.policy=sometimes
kafka-configs --alter --entity-type topics --entity-name plain --add-config compression.type=rar
kafka-configs --alter --entity-type topics --entity-name plain --add-config min.cleanable.dirty.ratio=1.5
kafka-configs --alter --entity-type topics --entity-name plain --add-config segment.bytes=1
kafka-configs --alter --entity-type topics --entity-name plain --add-config preallocate=perhaps
kafka-configs --alter --entity-type topics --entity-name plain --add-config min.compaction.lag.ms=100,max.compaction.lag.ms=10
kafka-configs --alter --entity-type topics --entity-name nobody --add-config retention.ms=1
kafka-configs --alter --entity-type topics --entity-name plain --add-config leader.replication.throttled.replicas=x
kafka-configs --alter --entity-type topics --entity-name plain --add-config remote.storage.enable=true
kafka-configs --alter --entity-type topics --entity-name plain --add-config min.insync.replicas=0
kafka-configs --alter --entity-type topics --entity-name plain --add-config max.message.bytes=-1
kafka-configs --alter --entity-type topics --entity-name plain --add-config message.timestamp.type=Never
kafka-configs --alter --entity-type topics --entity-name plain --add-config compression.gzip.level=0
kafka-configs --alter --entity-type topics --entity-name plain --add-config compression.zstd.level=99
kafka-configs --alter --entity-type topics --entity-name plain --add-config segment.ms=0
kafka-configs --alter --entity-type topics --entity-name plain --add-config retention.bytes=1e3
kafka-configs --alter --entity-type topics --entity-name plain --add-config local.retention.bytes=-3
kafka-configs --alter --entity-type topics --entity-name plain --add-config cleanup.policy=[compact,compact]
kafka-configs --alter --entity-type topics --entity-name plain --add-config cleanup.policy=
kafka-configs --alter --entity-type topics --entity-name plain --add-config follower.replication.throttled.replicas=*
kafka-configs --alter --entity-type topics --entity-name plain --add-config leader.replication.throttled.replicas=[0:1,1:1]
kafka-configs --alter --entity-type topics --entity-name plain --add-config message.format.version=2.8
kafka-configs --alter --entity-type topics --entity-name plain --delete-config message.format.version
kafka-configs --alter --entity-type topics --entity-name plain --add-config unclean.leader.election.enable=TRUE
kafka-configs --alter --entity-type topics --entity-name plain --add-config compression.type=zstd,compression.zstd.level=7
kafka-configs --describe --topic plain
kafka-topics --describe --topic plain
kafka-configs --alter --topic plain --delete-config cleanup.policy,follower.replication.throttled.replicas,leader.replication.throttled.replicas,unclean.leader.election.enable,compression.type,compression.zstd.level
kafka-configs --describe --topic plain
kafka-configs --describe --entity-type brokers --entity-name 1
kafka-configs --describe --all --entity-type brokers --entity-name 1
types broker 1
types topic orders
kafka-configs --describe --all --broker 7 --command-config {work}/client.properties
kafka-configs --describe --entity-type brokers --entity-default
kafka-configs --alter --entity-type brokers --entity-name 1 --add-config log.cleaner.backoff.ms=16000
kafka-configs --alter --entity-type brokers --entity-default --add-config log.retention.ms=90000000,message.max.bytes=1100000
kafka-configs --describe --entity-type brokers --entity-name 1
kafka-configs --describe --entity-type brokers --entity-default
kafka-configs --describe --entity-type brokers
kafka-configs --describe --all --topic orders
kafka-configs --alter --entity-type brokers --entity-name 1 --add-config log.cleaner.backoff.ms=soon
kafka-configs --alter --entity-type brokers --entity-name 1 --add-config num.partitions=3
kafka-configs --alter --entity-type brokers --entity-default --add-config node.id=3
kafka-configs --alter --entity-type brokers --entity-default --add-config message.max.bytes=-3
kafka-configs --alter --entity-type brokers --entity-name 1 --add-config no.such.key=1
kafka-configs --alter --entity-type brokers --entity-name 1 --delete-config no.such.key
kafka-configs --alter --entity-type brokers --entity-name 1 --add-config num.io.threads=6
kafka-configs --alter --entity-type brokers --entity-name 1 --add-config leader.replication.throttled.rate=1000000
kafka-configs --alter --entity-type brokers --entity-name 1 --add-config leader.replication.throttled.rate=-1
kafka-configs --alter --entity-type brokers --entity-name 1 --add-config log.cleanup.policy=sometimes
kafka-configs --alter --entity-type brokers --entity-name 1 --add-config compression.type=rar
kafka-configs --describe --entity-type brokers --entity-name 1
kafka-configs --alter --entity-type brokers --entity-name 1 --delete-config num.io.threads,leader.replication.throttled.rate,never.set
kafka-configs --describe --entity-type brokers --entity-name 1
kafka-configs --alter --entity-type brokers --entity-name 1 --delete-config log.cleaner.backoff.ms
kafka-configs --alter --entity-type brokers --entity-default --delete-config log.retention.ms,message.max.bytes
kafka-configs --describe --entity-type brokers --entity-default
~kafka-configs --describe --entity-type broker-loggers --entity-name 1
kafka-configs --describe --entity-type groups --entity-name nobody
kafka-configs --describe --all --entity-type groups --entity-name nobody
kafka-configs --alter --entity-type groups --entity-name tuned --add-config consumer.session.timeout.ms=50000
kafka-configs --describe --entity-type groups --entity-name tuned
kafka-configs --alter --entity-type groups --entity-name tuned --add-config consumer.session.timeout.ms=1
kafka-configs --alter --entity-type groups --entity-name tuned --add-config no.such.key=1
kafka-configs --alter --entity-type groups --entity-name tuned --delete-config consumer.session.timeout.ms
kafka-configs --describe --entity-type client-metrics
kafka-configs --describe --entity-type users
kafka-configs --describe --entity-type topics --entity-name bad/name

produce orders 0 {hour-10} {hour-9} {hour-8} {hour-7} {hour-6}
produce orders 1 {hour-5} {hour-7} {hour-3} {hour-3} {hour-4} {hour-4}
produce orders 2 {hour-2}
produce plain 0 {hour-2} {hour-1}

kafka-get-offsets
kafka-get-offsets --topic orders
kafka-get-offsets --topic orders --time -1
kafka-get-offsets --topic orders --time -2
kafka-get-offsets --topic orders --time -3
kafka-get-offsets --topic orders --time -4
kafka-get-offsets --topic orders --time -5
kafka-get-offsets --topic orders --time latest
kafka-get-offsets --topic orders --time earliest
kafka-get-offsets --topic orders --time max-timestamp
kafka-get-offsets --topic orders --time earliest-local
kafka-get-offsets --topic orders --time latest-tiered
kafka-get-offsets --topic orders --time earliest-pending-upload
kafka-get-offsets --topic orders --time {hour-7}
kafka-get-offsets --topic orders --time {hour-4}
kafka-get-offsets --topic orders --time {hour+1}
kafka-get-offsets --topic orders --time 0
kafka-get-offsets --topic orders --time soon
kafka-get-offsets --topic orders --partitions 0,2
kafka-get-offsets --topic orders --partitions 9
kafka-get-offsets --topic nobody
kafka-get-offsets --topic-partitions orders:x
kafka-get-offsets --topic-partitions orders:2-1
kafka-get-offsets --topic-partitions orders:1,plain:0-2,by-.*
kafka-get-offsets --topic-partitions orders:-2 --time earliest
kafka-get-offsets --exclude-internal-topics

kafka-log-dirs --describe
kafka-log-dirs --describe --topic-list orders,plain
kafka-log-dirs --describe --topic-list nobody
kafka-log-dirs --describe --broker-list 1 --topic-list orders
kafka-log-dirs --describe --broker-list 1,7

~kafka-delete-records --offset-json-file {work}/delete.json
kafka-get-offsets --topic orders --time earliest
~kafka-delete-records --offset-json-file {work}/delete-too-far.json
kafka-delete-records --offset-json-file {work}/delete-below.json
kafka-delete-records --offset-json-file {work}/delete-negative.json
kafka-delete-records --offset-json-file {work}/delete-unknown.json --command-config {work}/client.properties
kafka-delete-records --offset-json-file {work}/delete-no-partition.json --command-config {work}/client.properties
kafka-delete-records --offset-json-file {work}/delete-twice.json
kafka-get-offsets --topic orders --time earliest
kafka-configs --alter --topic plain --add-config cleanup.policy=compact
kafka-delete-records --offset-json-file {work}/delete-plain.json
kafka-configs --alter --topic plain --delete-config cleanup.policy
kafka-log-dirs --describe --topic-list orders
produce orders 1 {hour-5} {hour-4} {hour-3} {hour-2}

kafka-consumer-groups --list
kafka-consumer-groups --list --state
kafka-consumer-groups --describe --all-groups
kafka-consumer-groups --describe --group nobody
kafka-consumer-groups --describe --group nobody --state
kafka-consumer-groups --describe --group nobody --members
kafka-consumer-groups --delete --group nobody
kafka-consumer-groups --delete-offsets --group nobody --topic orders
~kafka-consumer-groups --reset-offsets --group reader --topic orders --to-earliest --dry-run
kafka-consumer-groups --list
~kafka-consumer-groups --reset-offsets --group reader --topic orders --to-earliest --execute
kafka-consumer-groups --list
kafka-consumer-groups --list --state
kafka-consumer-groups --list --type
kafka-consumer-groups --list --type --state
kafka-consumer-groups --list --state Empty
kafka-consumer-groups --list --state Stable
kafka-consumer-groups --list --type classic
kafka-consumer-groups --list --type consumer
kafka-consumer-groups --describe --group reader
kafka-consumer-groups --describe --group reader --members
kafka-consumer-groups --describe --group reader --members --verbose
kafka-consumer-groups --describe --group reader --state
kafka-consumer-groups --describe --group reader --state --verbose
kafka-consumer-groups --describe --group reader --offsets --verbose
~kafka-consumer-groups --reset-offsets --group reader --topic orders --to-latest --execute
~kafka-consumer-groups --reset-offsets --group reader --topic orders --shift-by -2 --execute
~kafka-consumer-groups --reset-offsets --group reader --topic orders --shift-by 100 --dry-run
~kafka-consumer-groups --reset-offsets --group reader --topic orders --shift-by -100 --dry-run
~kafka-consumer-groups --reset-offsets --group reader --topic orders:0,1 --to-offset 3 --execute
~kafka-consumer-groups --reset-offsets --group reader --topic orders --to-offset 999 --dry-run
~kafka-consumer-groups --reset-offsets --group reader --topic orders --to-datetime {date-4} --execute
~kafka-consumer-groups --reset-offsets --group reader --topic orders --to-datetime {date+1} --dry-run
~kafka-consumer-groups --reset-offsets --group reader --topic orders --by-duration PT6H30M --dry-run
~kafka-consumer-groups --reset-offsets --group reader --topic orders --to-current --dry-run
~kafka-consumer-groups --reset-offsets --group reader --all-topics --to-earliest --dry-run
~kafka-consumer-groups --reset-offsets --group reader --group second --topic orders --to-latest --execute
~kafka-consumer-groups --reset-offsets --all-groups --topic orders --to-current --export
~kafka-consumer-groups --reset-offsets --group reader --topic orders --to-current --export --dry-run
~kafka-consumer-groups --reset-offsets --group reader --from-file {work}/offsets.csv --dry-run
~kafka-consumer-groups --reset-offsets --group reader --group second --from-file {work}/offsets-groups.csv --execute
~kafka-consumer-groups --reset-offsets --group reader --topic nobody --to-earliest --dry-run
~kafka-consumer-groups --reset-offsets --group reader --topic orders:9 --to-earliest --dry-run
kafka-consumer-groups --reset-offsets --group reader --to-earliest
~kafka-consumer-groups --reset-offsets --group reader --topic orders --to-offset -7 --dry-run
kafka-consumer-groups --reset-offsets --group reader --topic orders --to-datetime soon --dry-run
~kafka-consumer-groups --describe --all-groups
~kafka-consumer-groups --describe --all-groups --state
~kafka-consumer-groups --describe --all-groups --members
~kafka-consumer-groups --describe --group reader --group second
~kafka-consumer-groups --list --state
kafka-consumer-groups --delete-offsets --group reader --topic orders:0
kafka-consumer-groups --delete-offsets --group reader --topic orders:9
kafka-consumer-groups --delete-offsets --group reader --topic nobody
kafka-consumer-groups --describe --group reader
kafka-consumer-groups --delete-offsets --group reader --topic orders

join classic old alpha orders commit
join classic old beta orders watch
settle old
produce orders 0 {hour-1} {hour-1}
~kafka-consumer-groups --describe --group old
~kafka-consumer-groups --describe --group old --offsets
~kafka-consumer-groups --describe --group old --offsets --verbose
~kafka-consumer-groups --describe --group old --members
~kafka-consumer-groups --describe --group old --members --verbose
kafka-consumer-groups --describe --group old --state
kafka-consumer-groups --describe --group old --state --verbose
kafka-consumer-groups --delete --group old
kafka-consumer-groups --delete-offsets --group old --topic orders
kafka-consumer-groups --delete-offsets --group old --topic plain
kafka-consumer-groups --reset-offsets --group old --topic orders --to-earliest --execute
kafka-consumer-groups --reset-offsets --group old --topic orders --to-earliest --dry-run
join consumer new gamma orders commit
settle new
kafka-consumer-groups --describe --group new --state --verbose
join consumer new delta plain commit
settle new
~kafka-consumer-groups --describe --group new
~kafka-consumer-groups --describe --group new --offsets --verbose
~kafka-consumer-groups --describe --group new --members
~kafka-consumer-groups --describe --group new --members --verbose
kafka-consumer-groups --describe --group new --state
kafka-consumer-groups --describe --group new --state --verbose
kafka-consumer-groups --delete --group new
kafka-consumer-groups --delete-offsets --group new --topic orders
kafka-consumer-groups --reset-offsets --group new --topic orders --to-earliest --execute
~kafka-consumer-groups --list --state
~kafka-consumer-groups --list --type
kafka-consumer-groups --list --type consumer
~kafka-consumer-groups --list --state Stable --type classic
~kafka-consumer-groups --describe --all-groups --state
~kafka-groups --list
kafka-configs --describe --all --entity-type groups --entity-name new
kafka-topics --describe --topic __consumer_offsets
kafka-topics --list --exclude-internal
kafka-delete-records --offset-json-file {work}/delete-internal.json
leave old
leave new
~kafka-consumer-groups --describe --group old
kafka-consumer-groups --describe --group old --members
kafka-consumer-groups --describe --group old --state
~kafka-consumer-groups --describe --group new
kafka-consumer-groups --describe --group new --members
kafka-consumer-groups --describe --group new --state
~kafka-consumer-groups --reset-offsets --group new --topic orders --to-earliest --execute
kafka-consumer-groups --delete-offsets --group new --topic plain
kafka-consumer-groups --delete --group old --group nobody
~kafka-consumer-groups --list --type --state
kafka-consumer-groups --delete --all-groups
kafka-consumer-groups --list

join classic fixed epsilon plain commit first
join consumer fixed-848 zeta plain commit second
settle fixed
settle fixed-848
kafka-consumer-groups --describe --group fixed --offsets
kafka-consumer-groups --describe --group fixed --members --verbose
kafka-consumer-groups --describe --group fixed-848 --members
kafka-consumer-groups --describe --group fixed-848 --offsets
leave fixed
leave fixed-848
~kafka-consumer-groups --describe --group fixed --group fixed-848 --members

kafka-topics --delete --topic orders
kafka-topics --describe --topic orders
kafka-topics --create --topic __consumer_offsets
kafka-topics --alter --topic __consumer_offsets --partitions 60
kafka-topics --delete --topic __consumer_offsets
kafka-topics --list
"""

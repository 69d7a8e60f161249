"""A compacted topic against a model, by confluent-kafka.

    compaction.py BOOTSTRAP TOPIC KEYS RECORDS SEED

Makes the topic, writes RECORDS random updates and deletes of KEYS keys as an idempotent producer, and says on standard
output how many are acknowledged ("P count"), whoever kills the broker meanwhile. Then it reads the topic from the
beginning until enough of what is outdated is gone, and compares: the newest record of each key is there, at the offset
at which it was acknowledged; nothing is there that was not acknowledged just there; offsets rise. The last line is
"passed: ..." or "FAILED: ...".

Before all that it shows that it can fail: in a small made-up topic each kind of error is planted once.
"""

import functools
import random
import sys
import time
from array import array

import confluent_kafka
from confluent_kafka.admin import AdminClient, NewTopic

PARTITIONS = 4
DELETES = 0.1
# Of the records that were outdated when the last was written so many must be gone: what the newest segments hold stays.
GONE = 0.7
GONE_WITHIN = 180
TOPIC = {
    "cleanup.policy": "compact",
    "min.cleanable.dirty.ratio": "0.05",
    "delete.retention.ms": "1000",
}


def say(line):
    sys.stdout.write(line + "\n")
    sys.stdout.flush()


def value_of(key, version):
    """What version of a key is written; it tells which it is."""
    return b"%d.%d." % (key, version) + b"x" * ((key + version * 31) % 400)


class Model:
    """What was acknowledged: by offset, and the newest of each key."""

    def __init__(self, keys):
        # Key and version by offset, -1 for offsets that nobody was told of; a version below -1 is a tombstone.
        self.keys = [array("q") for _ in range(PARTITIONS)]
        self.versions = [array("q") for _ in range(PARTITIONS)]
        self.newest = array("q", [-1]) * keys

    def add(self, partition, offset, key, version):
        keys, versions = self.keys[partition], self.versions[partition]
        while len(keys) <= offset:
            keys.append(-1)
            versions.append(-1)
        if keys[offset] != -1:
            raise ValueError(f"two records at offset {offset} of partition {partition}")
        keys[offset], versions[offset] = key, version
        self.newest[key] = max(self.newest[key], offset)

    def outdated(self):
        return sum(len(keys) for keys in self.keys) - sum(offset >= 0 for offset in self.newest)

    def compare(self, partitions):
        """What is wrong with a topic that was read; `partitions` has (offset, key, value) of each."""
        wrong, seen = [], array("q", [-1]) * len(self.newest)
        for partition, records in enumerate(partitions):
            keys, versions, before = self.keys[partition], self.versions[partition], -1
            for offset, key, value in records:
                if offset <= before:
                    wrong.append(f"order: {offset} comes after {before} in partition {partition}")
                before = offset
                if offset >= len(keys) or keys[offset] != key:
                    wrong.append(f"offset: key {key} was not acknowledged at {offset} of partition {partition}")
                    continue
                version = versions[offset]
                if value != (None if version < -1 else value_of(key, version)):
                    wrong.append(f"value: key {key} has another at {offset} of partition {partition}")
                seen[key] = offset
        for key, (newest, found) in enumerate(zip(self.newest, seen)):
            if newest == found or newest < 0:
                continue
            deleted = self.versions[key % PARTITIONS][newest] < -1
            if found < 0 and deleted:
                continue
            wrong.append(f"{'back' if deleted else 'lost'}: the newest of key {key} is at {newest}, there is {found}")
        return wrong


def self_test():
    model = Model(8)
    for key in range(8):
        model.add(key % PARTITIONS, len(model.keys[key % PARTITIONS]), key, 0)
    for key in range(8):
        model.add(key % PARTITIONS, len(model.keys[key % PARTITIONS]), key, -2 if key == 3 else 1)
    whole = [
        [(2, key, value_of(key, 1)), (3, key + 4, value_of(key + 4, 1))] if key != 3 else [(3, 7, value_of(7, 1))]
        for key in range(PARTITIONS)
    ]
    if model.compare(whole):
        raise AssertionError(f"a sound topic: {model.compare(whole)}")
    planted = {
        "lost": lambda topic: topic[0].pop(0),
        "back": lambda topic: topic[3].insert(0, (0, 3, value_of(3, 0))),
        "value": lambda topic: topic[1].__setitem__(0, (2, 1, value_of(1, 0))),
        "offset": lambda topic: topic[1].__setitem__(0, (1, 1, value_of(1, 1))),
        "order": lambda topic: topic[2].reverse(),
    }
    for kind, plant in planted.items():
        topic = [list(records) for records in whole]
        plant(topic)
        if not any(line.startswith(kind + ":") for line in model.compare(topic)):
            raise AssertionError(f"a planted error is not seen: {kind}")


def create(bootstrap, topic, records):
    # Some segments in each partition, and not too many.
    config = TOPIC | {"segment.bytes": str((16 if records > 1_000_000 else 1) << 20)}
    admin = AdminClient({"bootstrap.servers": bootstrap})
    admin.create_topics([NewTopic(topic, PARTITIONS, 1, config=config)])[topic].result(30)


def write(bootstrap, topic, model, keys, records, dice):
    producer = confluent_kafka.Producer(
        {
            "bootstrap.servers": bootstrap,
            "enable.idempotence": True,
            "acks": "all",
            "linger.ms": 20,
            "delivery.timeout.ms": 600_000,
            "queue.buffering.max.messages": 200_000,
            "reconnect.backoff.max.ms": 500,
        }
    )
    acknowledged = 0

    def done(key, version, error, message):
        nonlocal acknowledged
        if error is not None:
            raise RuntimeError(f"a record of key {key} was not acknowledged: {error}")
        model.add(message.partition(), message.offset(), key, version)
        acknowledged += 1
        if acknowledged % 1000 == 0:
            say(f"P {acknowledged}")

    versions = array("q", [0]) * keys
    for number in range(records):
        # Each key once, and then any.
        key = number if number < keys else dice.randrange(keys)
        version = versions[key]
        versions[key] += 1
        deletes = number >= keys and dice.random() < DELETES
        value = None if deletes else value_of(key, version)
        callback = functools.partial(done, key, -2 - version if deletes else version)
        while True:
            try:
                producer.produce(topic, value, b"%d" % key, key % PARTITIONS, on_delivery=callback)
                break
            except BufferError:
                producer.poll(0.1)
        if number % 100 == 0:
            producer.poll(0)
    while producer.flush(1.0) > 0:
        pass
    if acknowledged != records:
        raise RuntimeError(f"{acknowledged} of {records} records were acknowledged")


def read(bootstrap, topic):
    """Everything that is there, by partition."""
    consumer = confluent_kafka.Consumer(
        {"bootstrap.servers": bootstrap, "group.id": "nobody", "enable.auto.commit": False, "check.crcs": True}
    )
    found = [[] for _ in range(PARTITIONS)]
    ends = [consumer.get_watermark_offsets(confluent_kafka.TopicPartition(topic, it), 30)[1] for it in range(PARTITIONS)]
    consumer.assign([confluent_kafka.TopicPartition(topic, it, 0) for it in range(PARTITIONS)])
    # The last record of a partition is never compacted away: nothing is newer.
    left = {partition for partition, end in enumerate(ends) if end > 0}
    deadline = time.monotonic() + GONE_WITHIN
    while left:
        if time.monotonic() > deadline:
            raise RuntimeError(f"partitions {left} are not read to their ends {ends}")
        for message in consumer.consume(10_000, timeout=1.0):
            if message.error():
                raise RuntimeError(str(message.error()))
            partition, offset = message.partition(), message.offset()
            found[partition].append((offset, int(message.key()), message.value()))
            if offset + 1 >= ends[partition]:
                left.discard(partition)
    consumer.close()
    return found


def main():
    bootstrap, topic, keys, records, seed = sys.argv[1], sys.argv[2], *map(int, sys.argv[3:6])
    self_test()
    model = Model(keys)
    create(bootstrap, topic, records)
    write(bootstrap, topic, model, keys, records, random.Random(seed))
    outdated = model.outdated()
    say("W")
    deadline = time.monotonic() + GONE_WITHIN
    while True:
        found = read(bootstrap, topic)
        wrong = model.compare(found)
        gone = records - sum(len(partition) for partition in found)
        if wrong:
            say(f"FAILED: {len(wrong)} wrong, such as {wrong[:3]}")
            sys.exit(1)
        if gone >= GONE * outdated:
            break
        if time.monotonic() > deadline:
            say(f"FAILED: only {gone} of {outdated} outdated records are gone")
            sys.exit(1)
    say(f"passed: {records} records of {keys} keys acknowledged, {gone} of {outdated} outdated ones gone, nothing else")


if __name__ == "__main__":
    main()

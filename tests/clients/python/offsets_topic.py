"""Reads `__consumer_offsets` as a lag tool does, from Kafka's published record formats, and compares what it says.

    offsets_topic.py BOOTSTRAP JAVA_CLASS_PATH

Groups commit offsets, one is deleted again, and one member of each protocol is alive. Then every record of the topic is
decoded, and must say what was committed, what the broker tells by OffsetFetch, and what the members hold; each record must
stand in the partition that its group hashes to. Kafka's own formatter (kafka-console-consumer) reads the topic as well and
must tell the same offsets. The last line is "passed: ..." or "FAILED: ...".
"""

import base64
import copy
import json
import subprocess
import sys
import threading
import time

import confluent_kafka
from confluent_kafka import ConsumerGroupTopicPartitions, TopicPartition
from confluent_kafka.admin import AdminClient, NewTopic

OFFSETS = "__consumer_offsets"
TOPICS = {"lag.a": 6, "lag.b": 3}
GROUPS = ["plain", "with spaces and: signs", "größe-😀", *(f"group-{number}" for number in range(9))]
PATIENCE = 60


def say(line):
    sys.stdout.write(line + "\n")
    sys.stdout.flush()


class Cursor:
    """A record's bytes. Flexible versions have compact lengths and end every structure in tagged fields (KIP-482)."""

    def __init__(self, data):
        self.data, self.at, self.flexible = data, 0, False

    def take(self, count):
        if count < 0 or self.at + count > len(self.data):
            raise ValueError(f"{count} bytes at {self.at} of {len(self.data)}")
        self.at += count
        return self.data[self.at - count:self.at]

    def number(self, size):
        return int.from_bytes(self.take(size), "big", signed=True)

    def varint(self):
        result, shift = 0, 0
        while True:
            byte = self.take(1)[0]
            result |= (byte & 0x7F) << shift
            if byte < 0x80:
                return result
            shift += 7

    def length(self, size):
        """Of text (2 bytes) or of anything else (4 bytes); -1 stands for null."""
        return self.varint() - 1 if self.flexible else self.number(size)

    def text(self):
        length = self.length(2)
        return None if length < 0 else self.take(length).decode()

    def block(self):
        length = self.length(4)
        return None if length < 0 else self.take(length)

    def array(self, item):
        return [item() for _ in range(self.length(4))]

    def uuid(self):
        return base64.urlsafe_b64encode(self.take(16)).decode().rstrip("=")

    def tags(self):
        if not self.flexible:
            return {}
        return {tag: self.take(size) for tag, size in ((self.varint(), self.varint()) for _ in range(self.varint()))}

    def end(self):
        if self.at != len(self.data):
            raise ValueError(f"{len(self.data) - self.at} bytes are left over")


def decode_key(data):
    """The kind of a record and what it is about."""
    cursor = Cursor(data)
    kind = cursor.number(2)
    if kind in (0, 1):
        key = ("offset", cursor.text(), cursor.text(), cursor.number(4))
    elif kind in (2, 3, 4, 6):
        key = ({2: "classic", 3: "group", 4: "metadata", 6: "target"}[kind], cursor.text())
    elif kind in (5, 7, 8):
        key = ({5: "member", 7: "target of", 8: "current"}[kind], cursor.text(), cursor.text())
    else:
        raise ValueError(f"a key of kind {kind}")
    cursor.end()
    return key


def decode_value(kind, data):
    cursor = Cursor(data)
    version = cursor.number(2)
    value = VALUES[kind](cursor, version)
    cursor.end()
    return value


def offset_value(cursor, version):
    cursor.flexible = version >= 4
    value = {"offset": cursor.number(8)}
    value["leader_epoch"] = cursor.number(4) if version >= 3 else -1
    value["metadata"] = cursor.text()
    value["commit_ms"] = cursor.number(8)
    if version == 1:
        cursor.number(8)
    cursor.tags()
    return value


def classic_value(cursor, version):
    cursor.flexible = version >= 4
    value = {"protocol_type": cursor.text(), "generation": cursor.number(4), "protocol": cursor.text(), "leader": cursor.text()}
    if version >= 2:
        cursor.number(8)

    def member():
        one = {"id": cursor.text(), "instance": cursor.text() if version >= 3 else None, "client": cursor.text()}
        cursor.text()
        if version >= 1:
            cursor.number(4)
        cursor.number(4)
        one["reads"] = subscription(cursor.block())
        one["holds"] = assignment(cursor.block())
        cursor.tags()
        return one

    value["members"] = cursor.array(member)
    cursor.tags()
    return value


def subscription(data):
    """What a consumer tells its leader (ConsumerProtocolSubscription); the rest behind the topics is passed over."""
    cursor = Cursor(data)
    cursor.number(2)
    return sorted(cursor.array(cursor.text))


def assignment(data):
    """What it is given (ConsumerProtocolAssignment)."""
    if not data:
        return []
    cursor = Cursor(data)
    cursor.number(2)
    topics = cursor.array(lambda: (cursor.text(), cursor.array(lambda: cursor.number(4))))
    return sorted((topic, partition) for topic, partitions in topics for partition in partitions)


def compact(decode):
    def decoded(cursor, version):
        if version != 0:
            raise ValueError(f"version {version}")
        cursor.flexible = True
        value = decode(cursor)
        cursor.tags()
        return value

    return decoded


def topic_partitions(cursor):
    def one():
        topic, partitions = cursor.uuid(), cursor.array(lambda: cursor.number(4))
        cursor.tags()
        return [(topic, partition) for partition in partitions]

    return sorted(sum(cursor.array(one), []))


def member_value(cursor):
    cursor.text(), cursor.text()
    value = {"client": cursor.text()}
    cursor.text()
    value["reads"] = sorted(cursor.array(cursor.text))
    value["expression"] = cursor.text()
    cursor.number(4)
    value["assignor"] = cursor.text()
    return value


def current_value(cursor):
    value = {"epoch": cursor.number(4)}
    cursor.number(4), cursor.number(1)
    value["holds"], value["gives up"] = topic_partitions(cursor), topic_partitions(cursor)
    return value


VALUES = {
    "offset": offset_value,
    "classic": classic_value,
    "group": compact(lambda cursor: {"epoch": cursor.number(4)}),
    "member": compact(member_value),
    "target": compact(lambda cursor: {"epoch": cursor.number(4)}),
    "target of": compact(topic_partitions),
    "current": compact(current_value),
}


def home_of(group, partitions):
    """Java's hash of the group's name, as Kafka has it."""
    units = group.encode("utf-16-be")
    result = 0
    for at in range(0, len(units), 2):
        result = (31 * result + int.from_bytes(units[at:at + 2], "big")) & 0xFFFFFFFF
    # A negative number without its sign; the smallest of all becomes 0.
    return (0 if result == 1 << 31 else min(result, (1 << 32) - result)) % partitions


def read(bootstrap, partitions):
    """The newest value of each key, and the partition in which it stands."""
    consumer = confluent_kafka.Consumer({"bootstrap.servers": bootstrap, "group.id": "reader", "enable.auto.commit": False})
    ends = [consumer.get_watermark_offsets(TopicPartition(OFFSETS, it), PATIENCE)[1] for it in range(partitions)]
    left = {partition for partition, end in enumerate(ends) if end > 0}
    consumer.assign([TopicPartition(OFFSETS, partition, 0) for partition in left])
    found, deadline = {}, time.monotonic() + PATIENCE
    while left:
        if time.monotonic() > deadline:
            raise RuntimeError(f"partitions {left} are not read to their ends")
        for message in consumer.consume(1000, 1.0):
            if message.error():
                raise RuntimeError(str(message.error()))
            key = decode_key(message.key())
            value = message.value()
            if key[0] == "metadata" and value is not None:
                raise ValueError("Kafka 4.1 and later write no such record")
            if value is None:
                found.pop(key, None)
            else:
                found[key] = {"partition": message.partition(), "value": decode_value(key[0], value)}
            if message.offset() + 1 >= ends[message.partition()]:
                left.discard(message.partition())
    consumer.close()
    return found


def read_by_kafka(bootstrap, class_path):
    """The newest offset of each partition, as Kafka's own formatter prints it."""
    command = ["java", "-Xmx256m", "-XX:TieredStopAtLevel=1", "-cp", class_path, "org.apache.kafka.tools.consumer.ConsoleConsumer"]
    command += ["--bootstrap-server", bootstrap, "--topic", OFFSETS, "--from-beginning", "--timeout-ms", "8000"]
    command += ["--formatter", "org.apache.kafka.tools.consumer.OffsetsMessageFormatter"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=PATIENCE * 2)
    # One record after the other, and nothing in between.
    found, decoder, text, at = {}, json.JSONDecoder(), done.stdout.strip(), 0
    while at < len(text):
        record, at = decoder.raw_decode(text, at)
        while text[at:at + 1].isspace():
            at += 1
        about = record["key"]["data"]
        key = (about["group"], about["topic"], about["partition"])
        if record["value"] is None:
            found.pop(key, None)
        else:
            found[key] = record["value"]["data"]["offset"]
    if not found:
        raise RuntimeError(f"Kafka's formatter printed nothing: {done.stderr[-500:]}")
    return found


class Member:
    """A consumer that is alive until the end."""

    def __init__(self, bootstrap, group, protocol, topics):
        self.group, self.held, self.ended = group, None, threading.Event()
        self.consumer = confluent_kafka.Consumer(
            {"bootstrap.servers": bootstrap, "group.id": group, "group.protocol": protocol, "client.id": f"client of {group}"}
            | {"enable.auto.commit": False}
        )
        self.consumer.subscribe(topics, on_assign=self.assigned)
        self.thread = threading.Thread(target=self.live)
        self.thread.start()

    def assigned(self, _consumer, partitions):
        self.held = sorted((one.topic, one.partition) for one in partitions)

    def live(self):
        while not self.ended.is_set():
            self.consumer.poll(0.1)
        self.consumer.close()

    def leave(self):
        self.ended.set()
        self.thread.join()


def commit(bootstrap, group, offsets):
    consumer = confluent_kafka.Consumer({"bootstrap.servers": bootstrap, "group.id": group})
    partitions = [TopicPartition(topic, partition, offset, metadata) for (topic, partition), (offset, metadata) in offsets.items()]
    for one in consumer.commit(offsets=partitions, asynchronous=False):
        if one.error:
            raise RuntimeError(f"{group}: {one.error}")
    consumer.close()


def offsets_in(found):
    return {key[1:]: record["value"]["offset"] for key, record in found.items() if key[0] == "offset"}


def compare(found, expected, members, ids, partitions):
    """What the decoded records say differently."""
    wrong = []
    for key, record in found.items():
        if record["partition"] != home_of(key[1], partitions):
            wrong.append(f"{key} stands in partition {record['partition']}, not {home_of(key[1], partitions)}")
    for key, (offset, metadata) in expected.items():
        value = found.get(("offset", *key), {"value": None})["value"]
        if value is None or (value["offset"], value["metadata"]) != (offset, metadata):
            wrong.append(f"{key}: committed {offset} {metadata!r}, decoded {value}")
        elif not 0 <= time.time() * 1000 - value["commit_ms"] < 3_600_000:
            wrong.append(f"{key}: committed at {value['commit_ms']}")
    if any(key[1] == "gone" for key in found):
        wrong.append("a deleted group has records")
    classic, new = members
    value = found.get(("classic", classic.group), {"value": {"members": []}})["value"]
    told = [(one["client"], one["reads"], one["holds"]) for one in value["members"]]
    if told != [(f"client of {classic.group}", ["lag.a"], classic.held)] or value["protocol_type"] != "consumer":
        wrong.append(f"{classic.group} holds {classic.held}, decoded {value}")
    current = [record["value"] for key, record in found.items() if key[:2] == ("current", new.group)]
    target = [record["value"] for key, record in found.items() if key[:2] == ("target of", new.group)]
    about = [record["value"] for key, record in found.items() if key[:2] == ("member", new.group)]
    held = sorted((ids[topic], partition) for topic, partition in new.held)
    if [one["holds"] for one in current] != [held] or target != [held] or [one["reads"] for one in about] != [["lag.a", "lag.b"]]:
        wrong.append(f"{new.group} holds {held}, decoded {current} {target} {about}")
    epochs = [found[kind, new.group]["value"]["epoch"] for kind in ("group", "target")] + [one["epoch"] for one in current]
    if len(set(epochs)) != 1 or epochs[0] < 1:
        wrong.append(f"{new.group}: epochs {epochs}")
    return wrong


def main():
    bootstrap, class_path = sys.argv[1:3]
    admin = AdminClient({"bootstrap.servers": bootstrap})
    for made in admin.create_topics([NewTopic(name, count, 1) for name, count in TOPICS.items()]).values():
        made.result(PATIENCE)
    places = [(topic, partition) for topic, count in TOPICS.items() for partition in range(count)]
    expected = {}
    for number, group in enumerate([*GROUPS, "gone"]):
        for round_of in range(3):
            some = places[number % 4::2]
            offsets = {place: (1000 * number + 10 * round_of + at, f"{group} {round_of}") for at, place in enumerate(some)}
            commit(bootstrap, group, offsets)
        # confluent-kafka sends the zero behind a text as well.
        told = {(group, *place): (offset, metadata + "\0") for place, (offset, metadata) in offsets.items()}
        expected |= told if group != "gone" else {}
    for deleted in admin.delete_consumer_groups(["gone"]).values():
        deleted.result(PATIENCE)
    members = [Member(bootstrap, "live-classic", "classic", ["lag.a"]), Member(bootstrap, "live-new", "consumer", ["lag.a", "lag.b"])]
    described = admin.describe_topics(confluent_kafka.TopicCollection([*TOPICS, OFFSETS]))
    described = {name: future.result(PATIENCE) for name, future in described.items()}
    # Kafka writes ids in the alphabet for addresses, librdkafka in the plain one.
    ids = {name: str(one.topic_id).translate(str.maketrans("+/", "-_")) for name, one in described.items()}
    partitions = len(described[OFFSETS].partitions)
    try:
        deadline = time.monotonic() + PATIENCE
        while [len(member.held or []) for member in members] != [6, 9]:
            if time.monotonic() > deadline:
                raise RuntimeError(f"members hold {[member.held for member in members]}")
            time.sleep(0.05)
        found = read(bootstrap, partitions)
        wrong = compare(found, expected, members, ids, partitions)
        # The check must see what is wrong.
        planted = copy.deepcopy(found)
        planted["offset", GROUPS[0], *places[0]]["value"]["offset"] += 1
        if not compare(planted, expected, members, ids, partitions):
            wrong.append("a planted offset is not seen")
        # What OffsetFetch says, of every group that there is.
        decoded = offsets_in(found)
        for group in sorted({key[0] for key in decoded}):
            asked = admin.list_consumer_group_offsets([ConsumerGroupTopicPartitions(group)])[group].result(PATIENCE)
            told = {(group, one.topic, one.partition): one.offset for one in asked.topic_partitions}
            if told != {key: offset for key, offset in decoded.items() if key[0] == group}:
                wrong.append(f"{group}: OffsetFetch says {told}")
        by_kafka = read_by_kafka(bootstrap, class_path)
        if by_kafka != decoded:
            differing = sorted(set(by_kafka.items()) ^ set(decoded.items()))
            wrong.append(f"Kafka's formatter says otherwise: {differing[:4]}")
    finally:
        for member in members:
            member.leave()
    if wrong:
        say(f"FAILED: {len(wrong)} wrong, such as {wrong[:3]}")
        sys.exit(1)
    kinds = sorted({key[0] for key in found})
    say(f"passed: {len(found)} keys of kinds {', '.join(kinds)}; {len(decoded)} offsets, the same by OffsetFetch and by Kafka's formatter")


if __name__ == "__main__":
    main()

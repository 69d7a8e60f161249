"""The gap of each member when one more joins a large group of the new protocol (KIP-848).

  groups-join.py BOOTSTRAP MEMBERS PARTITIONS

Stock clients (confluent-kafka) read the topic `stream`, into which ten records a second and partition go.
A gap is the longest silence of a partition as its reader sees it; the partitions that stayed with their
member should not notice the join. `bench/groups join` starts this.
"""

import sys
import threading
import time

from confluent_kafka import Consumer, Producer

RATE = 10.0
WINDOW = 10.0


def produce(bootstrap, partitions, stop):
    producer = Producer({"bootstrap.servers": bootstrap, "linger.ms": 0})
    due, sent = time.monotonic(), 0
    while not stop.is_set():
        partition = sent % partitions
        producer.produce("stream", value=b"x" * 100, partition=partition)
        producer.poll(0)
        sent += 1
        wait = due + sent / (RATE * partitions) - time.monotonic()
        if wait > 0:
            time.sleep(wait)
    producer.flush(10)


class Member:
    def __init__(self, bootstrap):
        self.consumer = Consumer({
            "bootstrap.servers": bootstrap, "group.id": "large", "group.protocol": "consumer",
            "auto.offset.reset": "latest", "enable.auto.commit": False})
        self.seen = {}
        self.consumer.subscribe(["stream"])

    def poll(self):
        for message in self.consumer.consume(200, 0):
            if message.error():
                sys.exit(f"a member failed: {message.error()}")
            self.seen.setdefault(message.partition(), []).append(time.monotonic())

    def owned(self):
        return {it.partition for it in self.consumer.assignment()}


def run_for(members, seconds):
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        for member in members:
            member.poll()
        time.sleep(0.002)


def gap(times, begin, end):
    """The longest silence within a window."""
    inside = [begin] + [it for it in times if begin < it < end] + [end]
    return max(later - sooner for sooner, later in zip(inside, inside[1:]))


def main():
    bootstrap, count, partitions = sys.argv[1], int(sys.argv[2]), int(sys.argv[3])
    members = [Member(bootstrap) for _ in range(count)]
    began = time.monotonic()
    while sum(len(member.owned()) for member in members) < partitions or not all(it.owned() for it in members):
        run_for(members, 0.5)
        if time.monotonic() - began > 120:
            sys.exit("the members did not get their shares within 120 s")
    print(f"{count} members shared out {partitions} partitions {time.monotonic() - began:.1f} s after the first subscribed")
    stop = threading.Event()
    producer = threading.Thread(target=produce, args=(bootstrap, partitions, stop))
    producer.start()
    run_for(members, 5)
    before = [member.owned() for member in members]
    calm = time.monotonic()
    run_for(members, WINDOW)
    joined = time.monotonic()
    members.append(Member(bootstrap))
    shared = None
    while time.monotonic() < joined + 60 and (shared is None or time.monotonic() < joined + WINDOW):
        run_for(members, 0.1)
        if shared is None and members[-1].owned():
            shared = time.monotonic()
    if shared is None:
        sys.exit("the new member got no share within 60 s")
    run_for(members, 2)
    end = max(joined + WINDOW, shared + 2)
    stop.set()
    producer.join()
    rows, moved = [], []
    for member, had in zip(members, before):
        stayed = had & member.owned()
        moved += had - stayed
        times = [member.seen.get(partition, []) for partition in stayed]
        rows.append((max(gap(it, calm, joined) for it in times), max(gap(it, joined, end) for it in times)))
    after = sorted(1e3 * row[1] for row in rows)
    calmly = sorted(1e3 * row[0] for row in rows)
    arrival = [min(members[-1].seen.get(partition, [end])) - joined for partition in moved]
    print()
    print(f"| a member's longest gap on partitions that it kept, {count} members, a record each {1e3 / RATE:.0f} ms | median | largest |")
    print("|---|---|---|")
    print(f"| in {WINDOW:.0f} s before | {calmly[len(calmly) // 2]:.0f} ms | {calmly[-1]:.0f} ms |")
    print(f"| in {end - joined:.0f} s from the join on | {after[len(after) // 2]:.0f} ms | {after[-1]:.0f} ms |")
    print(f"| {len(moved)} partitions moved; the new member's first record of each | {1e3 * sorted(arrival)[len(arrival) // 2]:.0f} ms | {1e3 * max(arrival):.0f} ms |")
    print()
    print("per member, ms: " + " ".join(f"{1e3 * row[0]:.0f}>{1e3 * row[1]:.0f}" for row in rows))
    for member in members:
        member.consumer.close()


main()

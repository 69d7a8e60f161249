"""What the Python clients share: the job they are given, the records, and the check of what comes back.

A job is a JSON file (first argument), its result a JSON file (second argument). See docs/testing.md.
"""

import json
import sys
import time

PROGRESS_TIMEOUT_S = 30


def load():
    with open(sys.argv[1], encoding="utf-8") as file:
        return json.load(file)


def finish(client, version, results):
    with open(sys.argv[2], "w", encoding="utf-8") as file:
        json.dump({"client": client, "version": version, "results": results}, file)


def result(topic, started, detail, records):
    took = int((time.monotonic() - started) * 1000)
    return {"topic": topic, "ok": detail is None, "detail": detail or "", "records": records, "ms": took}


class Records:
    """One file of records; every topic that was sent from it is checked against it."""

    _loaded = {}

    def __init__(self, path):
        self.rows = []
        with open(path, encoding="utf-8") as file:
            for line in file:
                row = json.loads(line)
                self.rows.append(
                    (row["k"].encode(), row["v"].encode(), row["t"], row["p"], row["m"])
                )

    @classmethod
    def of(cls, path):
        if path not in cls._loaded:
            cls._loaded[path] = cls(path)
        return cls._loaded[path]

    def by_partition(self, partitioner, partitions):
        column = 4 if partitioner == "murmur2" else 3
        lists = [[] for _ in range(partitions)]
        for index, row in enumerate(self.rows):
            lists[row[column]].append(index)
        return lists


def headers_of(topic, index, with_seq=True):
    headers = [("topic", topic.encode()), ("note", "grüße".encode())]
    if with_seq:
        headers.append(("seq", str(index).encode()))
    return headers


class TopicCheck:
    """Compares what a consumer reads with what was sent: keys, values, headers, times, order, count."""

    def __init__(self, spec, partitions):
        self.topic = spec["topic"]
        self.records = Records.of(spec["records"])
        self.expected = self.records.by_partition(spec["partitioner"], partitions)
        self.given_time = spec["given_time"]
        self.window = spec["window"]
        self.with_seq = spec["seq_header"]
        self.seen = [0] * partitions
        self.ends = [None] * partitions
        self.error = None
        self.started = time.monotonic()
        self.finished = None

    def feed(self, partition, offset, key, value, headers, timestamp):
        position = self.seen[partition]
        self.seen[partition] += 1
        if self.error is not None:
            return
        where = f"partition {partition} offset {offset}"
        if offset != position:
            self.error = f"{where}: expected offset {position}"
            return
        if position >= len(self.expected[partition]):
            self.error = f"{where}: more records than were sent"
            return
        index = self.expected[partition][position]
        want_key, want_value, want_time, _, _ = self.records.rows[index]
        if key != want_key:
            self.error = f"{where}: key {key!r}, expected {want_key!r}"
        elif value != want_value:
            self.error = f"{where}: value {value!r}, expected {want_value!r}"
        elif list(headers or []) != headers_of(self.topic, index, self.with_seq):
            self.error = f"{where}: headers {headers!r}"
        elif self.given_time and timestamp != want_time:
            self.error = f"{where}: timestamp {timestamp}, expected {want_time}"
        elif not self.given_time and not self.window[0] <= timestamp <= self.window[1]:
            self.error = f"{where}: timestamp {timestamp} outside {self.window}"

    def complete(self):
        """Whether every partition was read to its end."""
        if self.finished is None and all(
            end is not None and seen >= end for seen, end in zip(self.seen, self.ends)
        ):
            self.finished = time.monotonic()
        return self.finished is not None

    def result(self):
        detail = self.error
        if detail is None:
            for partition, seen in enumerate(self.seen):
                want = len(self.expected[partition])
                if seen != want or self.ends[partition] != want:
                    end = self.ends[partition]
                    detail = f"partition {partition}: read {seen}, end offset {end}, sent {want}"
                    break
        return result(self.topic, self.started, detail, sum(self.seen))

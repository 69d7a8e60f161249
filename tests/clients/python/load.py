"""Writers of a load on librdkafka: they go on through every fault and write the history of it.

The specification is the one of the Go program; the writers whose client is "confluent-kafka" are run
here. A line on standard input ends them after what is in flight.
"""

import json
import sys
import threading
import time
import zlib

import confluent_kafka

MASK = (1 << 64) - 1
TICK_S = 0.005
FLUSH_S = 60


def mix(x):
    x = (x + 0x9E3779B97F4A7C15) & MASK
    x = ((x ^ (x >> 30)) * 0xBF58476D1CE4E5B9) & MASK
    x = ((x ^ (x >> 27)) * 0x94D049BB133111EB) & MASK
    return x ^ (x >> 31)


def value_of(number, size):
    payload = mix(number).to_bytes(8, "big") * (mix(number) % (size // 8 + 1))
    check = zlib.crc32(payload) ^ (number & 0xFFFFFFFF)
    return number.to_bytes(8, "big") + check.to_bytes(4, "big") + payload


class History:
    def __init__(self, path):
        self.file = open(path, "w", encoding="utf-8")
        self.lock = threading.Lock()

    def write(self, line):
        text = json.dumps(line, separators=(",", ":"))
        with self.lock:
            self.file.write(text + "\n")


class Writer(threading.Thread):
    def __init__(self, spec, writer, history, stopping):
        super().__init__()
        self.spec, self.writer, self.history, self.stopping = spec, writer, history, stopping
        self.acknowledged = 0

    def run(self):
        writer = self.writer
        self.history.write({"f": "writer", "w": writer["name"], "idempotent": writer["idempotent"]})
        producer = confluent_kafka.Producer(
            {
                "bootstrap.servers": self.spec["bootstrap"],
                "enable.idempotence": writer["idempotent"],
                "acks": "all" if writer["acks"] == "all" else 1,
                # Without idempotence only one request at a time keeps the order through a retry.
                "max.in.flight": 5 if writer["idempotent"] else 1,
                "compression.type": writer["codec"],
                "linger.ms": 1,
                "retries": 2147483647,
                "retry.backoff.ms": 50,
                "reconnect.backoff.ms": 20,
                "reconnect.backoff.max.ms": 200,
                "message.timeout.ms": 300000,
                "queue.buffering.max.messages": 2000,
                "log_level": 0,
            }
        )
        partitions = {topic["name"]: topic["partitions"] for topic in self.spec["topics"]}
        topics = writer["topics"]
        each = max(1, int(writer["rate"] * TICK_S))
        sequence = 0
        while not self.stopping.wait(TICK_S):
            for _ in range(each):
                number = writer["id"] << 40 | sequence
                topic = topics[sequence % len(topics)]
                partition = sequence // len(topics) % partitions[topic]
                if not self.send(producer, number, topic, partition):
                    break
                sequence += 1
            producer.poll(0)
        producer.flush(FLUSH_S)

    def send(self, producer, number, topic, partition):
        line = {
            "f": "send",
            "w": self.writer["name"],
            "p": f"{topic}/{partition}",
            "v": number,
            "t0": time.monotonic_ns(),
        }

        def delivered(error, message):
            line["t1"] = time.monotonic_ns()
            if error is None:
                line["type"] = "ok"
                line["offset"] = message.offset()
                self.acknowledged += 1
            else:
                line["type"] = "info"
                line["error"] = str(error)
            self.history.write(line)

        try:
            value = value_of(number, self.writer["size"])
            producer.produce(topic, value, self.writer["name"], partition, delivered)
            return True
        except BufferError:
            return False


def main():
    with open(sys.argv[1], encoding="utf-8") as file:
        spec = json.load(file)
    history = History(sys.argv[2])
    stopping = threading.Event()
    chosen = [w for w in spec["writers"] if w["client"] == "confluent-kafka"]
    writers = [Writer(spec, writer, history, stopping) for writer in chosen]
    for writer in writers:
        writer.start()

    def report():
        while not stopping.wait(0.05):
            print("acknowledged", sum(writer.acknowledged for writer in writers), flush=True)

    threading.Thread(target=report, daemon=True).start()
    sys.stdin.readline()
    stopping.set()
    for writer in writers:
        writer.join()
    history.file.close()
    print("stopped", sum(writer.acknowledged for writer in writers), flush=True)


if __name__ == "__main__":
    main()

"""kcat, driven through its standard input and output."""

import json
import subprocess
import time
from concurrent.futures import ThreadPoolExecutor

import job

SEPARATOR = "\t"
AT_ONCE = 3


def produce_one(task, spec):
    records = job.Records.of(task["records"])
    for partition in range(task["partitions"]):
        lines = [
            key + SEPARATOR.encode() + value + b"\n"
            for key, value, _, place, _ in records.rows
            if place == partition
        ]
        command = ["kcat", "-P", "-b", task["bootstrap"], "-t", spec["topic"], "-p", str(partition)]
        command += ["-K", SEPARATOR, "-z", spec["codec"], "-X", "acks=all", "-X", "linger.ms=5"]
        for name, value in job.headers_of(spec["topic"], 0, with_seq=False):
            command += ["-H", f"{name}={value.decode()}"]
        done = subprocess.run(command, input=b"".join(lines), capture_output=True, timeout=120)
        if done.returncode != 0:
            return f"kcat exit {done.returncode}: {done.stderr.decode()[-300:]}"
    return None


def produce(task):
    results = []
    for spec in task["topics"]:
        started = time.monotonic()
        detail = produce_one(task, spec)
        results.append(job.result(spec["topic"], started, detail, len(job.Records.of(task["records"]).rows)))
    return results


def consume_one(task, spec):
    check = job.TopicCheck(spec, task["partitions"])
    command = ["kcat", "-C", "-b", task["bootstrap"], "-t", spec["topic"], "-o", "beginning", "-e", "-J"]
    command += ["-q", "-X", "fetch.wait.max.ms=50"]
    # Its standard error is dropped: a full pipe would stop it.
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL) as process:
        for line in process.stdout:
            message = json.loads(line)
            flat = message.get("headers", [])
            check.feed(
                message["partition"],
                message["offset"],
                message["key"].encode(),
                message["payload"].encode(),
                [(flat[i], flat[i + 1].encode()) for i in range(0, len(flat), 2)],
                message["ts"],
            )
        code = process.wait(timeout=60)
    if code != 0:
        check.error = check.error or f"kcat exit {code}"
    # -e ends at the end of every partition, so what was read is the end.
    check.ends = list(check.seen)
    return check.result()


def consume(task):
    with ThreadPoolExecutor(AT_ONCE) as pool:
        return list(pool.map(lambda spec: consume_one(task, spec), task["topics"]))


if __name__ == "__main__":
    TASK = job.load()
    RESULTS = produce(TASK) if TASK["role"] == "produce" else consume(TASK)
    ABOUT = subprocess.run(["kcat", "-V"], capture_output=True, text=True, check=False).stdout
    job.finish("kcat", ABOUT.partition("Version ")[2].split(" ")[0], RESULTS)

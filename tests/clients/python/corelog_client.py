"""Corelog's own command line, by the protocol that CORELOG_PROTOCOL names."""

import json
import os
import subprocess
import time
from concurrent.futures import ThreadPoolExecutor

import job

PROGRAM = os.environ["CORELOG_BIN"]
PROTOCOL = os.environ["CORELOG_PROTOCOL"]
AT_ONCE = 2


def run(task, arguments, text=None):
    """Runs the program against the task's broker; an error text when it fails."""
    bootstrap = task["native"] if PROTOCOL == "native" else task["bootstrap"]
    command = [PROGRAM, *arguments, "--bootstrap", bootstrap, "--protocol", PROTOCOL]
    done = subprocess.run(command, input=text, capture_output=True, timeout=180, check=False)
    error = None if done.returncode == 0 else f"exit {done.returncode}: {done.stderr.decode()[-300:]}"
    return done.stdout, error


def produce_one(task, spec):
    topic = spec["topic"]
    _, error = run(task, ["topic", "create", topic, "--partitions", str(task["partitions"])])
    if error is not None:
        return error
    lines = []
    for index, (key, value, timestamp, partition, _) in enumerate(job.Records.of(task["records"]).rows):
        headers = [
            {"key": name, "value": text.decode()} for name, text in job.headers_of(topic, index)
        ]
        record = {
            "key": key.decode(),
            "value": value.decode(),
            "headers": headers,
            "timestamp": timestamp,
            "partition": partition,
        }
        lines.append(json.dumps(record, ensure_ascii=False))
    text = "\n".join(lines).encode() + b"\n"
    _, error = run(
        task, ["produce", topic, "--format", "json", "--compression", spec["codec"], "--quiet"], text
    )
    return error


def produce(task):
    results = []
    for spec in task["topics"]:
        started = time.monotonic()
        detail = produce_one(task, spec)
        results.append(job.result(spec["topic"], started, detail, len(job.Records.of(task["records"]).rows)))
    return results


def consume_one(task, spec):
    check = job.TopicCheck(spec, task["partitions"])
    output, error = run(task, ["consume", spec["topic"], "--exit", "--format", "json", "--quiet"])
    for line in output.splitlines():
        record = json.loads(line)
        check.feed(
            record["partition"],
            record["offset"],
            record["key"].encode(),
            record["value"].encode(),
            [(header["key"], header["value"].encode()) for header in record["headers"]],
            record["timestamp"],
        )
    check.error = check.error or error
    # --exit ends at what was the end of every partition, so what was read is the end.
    check.ends = list(check.seen)
    return check.result()


def consume(task):
    with ThreadPoolExecutor(AT_ONCE) as pool:
        return list(pool.map(lambda spec: consume_one(task, spec), task["topics"]))


if __name__ == "__main__":
    TASK = job.load()
    RESULTS = produce(TASK) if TASK["role"] == "produce" else consume(TASK)
    ABOUT = subprocess.run([PROGRAM, "--version"], capture_output=True, text=True, check=False).stdout
    job.finish("corelog", ABOUT.strip().rpartition(" ")[2], RESULTS)

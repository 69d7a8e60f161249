"""kafka-python."""

import time

import kafka
from kafka.admin import KafkaAdminClient, NewTopic

import job


def create(task):
    admin = KafkaAdminClient(bootstrap_servers=task["bootstrap"])
    try:
        topics = [NewTopic(t["topic"], task["partitions"], 1) for t in task["topics"]]
        admin.create_topics(topics, timeout_ms=30000)
    finally:
        admin.close()


def produce_one(task, spec):
    producer = kafka.KafkaProducer(
        bootstrap_servers=task["bootstrap"],
        compression_type=None if spec["codec"] == "none" else spec["codec"],
        enable_idempotence=True,
        linger_ms=5,
        batch_size=65536,
    )
    try:
        topic = spec["topic"]
        sent = []
        for index, (key, value, timestamp, partition, _) in enumerate(
            job.Records.of(task["records"]).rows
        ):
            headers = job.headers_of(topic, index)
            sent.append(
                producer.send(
                    topic, value, key, headers, partition, timestamp_ms=timestamp
                )
            )
        producer.flush(timeout=60)
        for future in sent:
            future.get(timeout=30)
    except Exception as error:  # whatever the client raises is the cell's answer
        return f"{type(error).__name__}: {error}"
    finally:
        producer.close()
    return None


def produce(task):
    create(task)
    results = []
    for spec in task["topics"]:
        started = time.monotonic()
        detail = produce_one(task, spec)
        results.append(job.result(spec["topic"], started, detail, len(job.Records.of(task["records"]).rows)))
    return results


def consume(task):
    consumer = kafka.KafkaConsumer(
        bootstrap_servers=task["bootstrap"],
        group_id=None,
        enable_auto_commit=False,
        auto_offset_reset="none",
        fetch_max_wait_ms=50,
        max_poll_records=10000,
    )
    checks = {spec["topic"]: job.TopicCheck(spec, task["partitions"]) for spec in task["topics"]}
    places = [kafka.TopicPartition(t, p) for t in checks for p in range(task["partitions"])]
    consumer.assign(places)
    for place, end in consumer.end_offsets(places).items():
        checks[place.topic].ends[place.partition] = end
    for place in places:
        consumer.seek(place, 0)
    deadline = time.monotonic() + job.PROGRESS_TIMEOUT_S
    while not all(check.complete() for check in checks.values()) and time.monotonic() < deadline:
        for place, messages in consumer.poll(timeout_ms=200).items():
            check = checks[place.topic]
            deadline = time.monotonic() + job.PROGRESS_TIMEOUT_S
            for message in messages:
                check.feed(
                    place.partition,
                    message.offset,
                    message.key,
                    message.value,
                    message.headers,
                    message.timestamp,
                )
    consumer.close()
    return [check.result() for check in checks.values()]


if __name__ == "__main__":
    TASK = job.load()
    RESULTS = produce(TASK) if TASK["role"] == "produce" else consume(TASK)
    job.finish("kafka-python", kafka.__version__, RESULTS)

"""confluent-kafka (librdkafka)."""

import time

import confluent_kafka
from confluent_kafka.admin import AdminClient, NewTopic

import job


def create(task):
    names = [t["topic"] for t in task["topics"]]
    admin = AdminClient({"bootstrap.servers": task["bootstrap"]})
    topics = [NewTopic(name, task["partitions"], 1) for name in names]
    for future in admin.create_topics(topics, request_timeout=30).values():
        future.result()


def produce_one(task, spec):
    records = job.Records.of(task["records"])
    errors = []

    def delivered(error, _message):
        if error is not None:
            errors.append(str(error))

    producer = confluent_kafka.Producer(
        {
            "bootstrap.servers": task["bootstrap"],
            "compression.type": spec["codec"],
            "enable.idempotence": True,
            "linger.ms": 5,
            "queue.buffering.max.messages": 1000000,
        }
    )
    topic = spec["topic"]
    for index, (key, value, timestamp, partition, _) in enumerate(records.rows):
        headers = job.headers_of(topic, index)
        while True:
            try:
                producer.produce(
                    topic, value, key, partition, delivered, timestamp=timestamp, headers=headers
                )
                break
            except BufferError:
                producer.poll(0.1)
        if index % 1000 == 0:
            producer.poll(0)
    left = producer.flush(60)
    if left:
        errors.append(f"{left} records were not acknowledged in time")
    return errors[0] if errors else None


def produce(task):
    create(task)
    results = []
    for spec in task["topics"]:
        started = time.monotonic()
        detail = produce_one(task, spec)
        results.append(job.result(spec["topic"], started, detail, len(job.Records.of(task["records"]).rows)))
    return results


def consume(task):
    consumer = confluent_kafka.Consumer(
        {
            "bootstrap.servers": task["bootstrap"],
            "group.id": "unused: partitions are assigned",
            "enable.auto.commit": False,
            "auto.offset.reset": "error",
            "queued.max.messages.kbytes": 16384,
            "fetch.wait.max.ms": 50,
        }
    )
    checks = {spec["topic"]: job.TopicCheck(spec, task["partitions"]) for spec in task["topics"]}
    partitions = []
    for topic, check in checks.items():
        for partition in range(task["partitions"]):
            where = confluent_kafka.TopicPartition(topic, partition, 0)
            _, check.ends[partition] = consumer.get_watermark_offsets(where, timeout=30)
            partitions.append(where)
    consumer.assign(partitions)
    deadline = time.monotonic() + job.PROGRESS_TIMEOUT_S
    while not all(check.complete() for check in checks.values()) and time.monotonic() < deadline:
        for message in consumer.consume(10000, timeout=0.2):
            check = checks[message.topic()]
            if message.error():
                check.error = check.error or str(message.error())
                continue
            deadline = time.monotonic() + job.PROGRESS_TIMEOUT_S
            check.feed(
                message.partition(),
                message.offset(),
                message.key(),
                message.value(),
                message.headers(),
                message.timestamp()[1],
            )
    consumer.close()
    return [check.result() for check in checks.values()]


if __name__ == "__main__":
    TASK = job.load()
    RESULTS = produce(TASK) if TASK["role"] == "produce" else consume(TASK)
    job.finish("confluent-kafka", confluent_kafka.__version__, RESULTS)

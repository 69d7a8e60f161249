"""aiokafka."""

import asyncio
import time

import aiokafka
from aiokafka.admin import AIOKafkaAdminClient, NewTopic

import job


async def create(task):
    admin = AIOKafkaAdminClient(bootstrap_servers=task["bootstrap"])
    await admin.start()
    try:
        topics = [NewTopic(t["topic"], task["partitions"], 1) for t in task["topics"]]
        answer = await admin.create_topics(topics, timeout_ms=30000)
        for error in answer.topic_errors:
            if error[1] != 0:
                raise RuntimeError(f"create topics: {error}")
    finally:
        await admin.close()


async def produce_one(task, spec):
    producer = aiokafka.AIOKafkaProducer(
        bootstrap_servers=task["bootstrap"],
        compression_type=None if spec["codec"] == "none" else spec["codec"],
        enable_idempotence=True,
        linger_ms=5,
        max_batch_size=65536,
    )
    await producer.start()
    try:
        topic = spec["topic"]
        sent = []
        for index, (key, value, timestamp, partition, _) in enumerate(
            job.Records.of(task["records"]).rows
        ):
            headers = job.headers_of(topic, index)
            sent.append(
                await producer.send(
                    topic, value, key, partition, timestamp_ms=timestamp, headers=headers
                )
            )
        await asyncio.gather(*sent)
    except Exception as error:  # whatever the client raises is the cell's answer
        return f"{type(error).__name__}: {error}"
    finally:
        await producer.stop()
    return None


async def produce(task):
    await create(task)
    results = []
    for spec in task["topics"]:
        started = time.monotonic()
        detail = await produce_one(task, spec)
        results.append(job.result(spec["topic"], started, detail, len(job.Records.of(task["records"]).rows)))
    return results


async def consume(task):
    consumer = aiokafka.AIOKafkaConsumer(
        bootstrap_servers=task["bootstrap"],
        group_id=None,
        enable_auto_commit=False,
        auto_offset_reset="none",
        fetch_max_wait_ms=50,
    )
    await consumer.start()
    checks = {spec["topic"]: job.TopicCheck(spec, task["partitions"]) for spec in task["topics"]}
    places = [aiokafka.TopicPartition(t, p) for t in checks for p in range(task["partitions"])]
    consumer.assign(places)
    for place, end in (await consumer.end_offsets(places)).items():
        checks[place.topic].ends[place.partition] = end
    for place in places:
        consumer.seek(place, 0)
    deadline = time.monotonic() + job.PROGRESS_TIMEOUT_S
    while not all(check.complete() for check in checks.values()) and time.monotonic() < deadline:
        for place, messages in (await consumer.getmany(timeout_ms=200)).items():
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
    await consumer.stop()
    return [check.result() for check in checks.values()]


if __name__ == "__main__":
    TASK = job.load()
    RESULTS = asyncio.run(produce(TASK) if TASK["role"] == "produce" else consume(TASK))
    job.finish("aiokafka", aiokafka.__version__, RESULTS)

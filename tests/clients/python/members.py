"""A member of a consumer group, on each of the Python clients.

    members.py CLIENT BOOTSTRAP GROUP TOPIC

It says on standard output what happens, a line each: "A" after an assignment, "R partition offset key" for a record,
"C" after a commit, "E reason" for an error that it goes on after. It leaves the group when standard input ends.
"""

import asyncio
import sys
import threading

SESSION_MS = 6000
HEARTBEAT_MS = 500


def say(line):
    sys.stdout.write(line + "\n")
    sys.stdout.flush()


def record(partition, offset, key):
    sys.stdout.write(f"R {partition} {offset} {key.decode()}\n")


def end_of_input():
    ended = threading.Event()

    def wait():
        sys.stdin.read()
        ended.set()

    threading.Thread(target=wait, daemon=True).start()
    return ended


def confluent(bootstrap, group, topic, protocol):
    import confluent_kafka

    ended = end_of_input()
    settings = {
        "bootstrap.servers": bootstrap,
        "group.id": group,
        "group.protocol": protocol,
        "enable.auto.commit": False,
        "auto.offset.reset": "earliest",
    }
    if protocol == "classic":
        settings["session.timeout.ms"] = SESSION_MS
        settings["heartbeat.interval.ms"] = HEARTBEAT_MS
        settings["partition.assignment.strategy"] = "cooperative-sticky"
    consumer = confluent_kafka.Consumer(settings)
    consumer.subscribe([topic], on_assign=lambda _consumer, _partitions: say("A"))
    while not ended.is_set():
        got = False
        for message in consumer.consume(500, timeout=0.2):
            if message.error():
                say(f"E {message.error()}")
                continue
            record(message.partition(), message.offset(), message.key())
            got = True
        if got:
            try:
                consumer.commit(asynchronous=False)
                say("C")
            except confluent_kafka.KafkaException as error:
                say(f"E {error}")
    consumer.close()


def kafka_python(bootstrap, group, topic):
    import kafka
    from kafka.errors import KafkaError

    class Listener(kafka.ConsumerRebalanceListener):
        def on_partitions_revoked(self, revoked):
            pass

        def on_partitions_assigned(self, assigned):
            say("A")

    ended = end_of_input()
    consumer = kafka.KafkaConsumer(
        bootstrap_servers=bootstrap,
        group_id=group,
        session_timeout_ms=SESSION_MS,
        heartbeat_interval_ms=HEARTBEAT_MS,
        enable_auto_commit=False,
        auto_offset_reset="earliest",
    )
    consumer.subscribe([topic], listener=Listener())
    while not ended.is_set():
        try:
            batches = consumer.poll(timeout_ms=200)
            for place, messages in batches.items():
                for message in messages:
                    record(place.partition, message.offset, message.key)
            if batches:
                consumer.commit()
                say("C")
        except KafkaError as error:
            say(f"E {error!r}")
    consumer.close()


async def aio(bootstrap, group, topic):
    import aiokafka
    from aiokafka.errors import KafkaError

    class Listener(aiokafka.ConsumerRebalanceListener):
        async def on_partitions_revoked(self, revoked):
            pass

        async def on_partitions_assigned(self, assigned):
            say("A")

    ended = end_of_input()
    consumer = aiokafka.AIOKafkaConsumer(
        bootstrap_servers=bootstrap,
        group_id=group,
        session_timeout_ms=SESSION_MS,
        heartbeat_interval_ms=HEARTBEAT_MS,
        enable_auto_commit=False,
        auto_offset_reset="earliest",
    )
    consumer.subscribe([topic], listener=Listener())
    await consumer.start()
    while not ended.is_set():
        try:
            batches = await consumer.getmany(timeout_ms=200)
            for place, messages in batches.items():
                for message in messages:
                    record(place.partition, message.offset, message.key)
            if batches:
                await consumer.commit()
                say("C")
        except KafkaError as error:
            say(f"E {error!r}")
    await consumer.stop()


if __name__ == "__main__":
    CLIENT, BOOTSTRAP, GROUP, TOPIC = sys.argv[1:]
    if CLIENT == "confluent-kafka":
        confluent(BOOTSTRAP, GROUP, TOPIC, "classic")
    elif CLIENT == "confluent-848":
        confluent(BOOTSTRAP, GROUP, TOPIC, "consumer")
    elif CLIENT == "kafka-python":
        kafka_python(BOOTSTRAP, GROUP, TOPIC)
    else:
        asyncio.run(aio(BOOTSTRAP, GROUP, TOPIC))

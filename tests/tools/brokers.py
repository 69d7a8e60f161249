"""The two brokers that are compared, and Kafka's tools beside each in a virtual machine of their own."""

import os
import re
import signal
import socket
import subprocess
import threading
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent.parent
TARGET = Path(os.environ.get("CARGO_TARGET_DIR", ROOT / "target"))
CORELOG = os.environ.get("CORELOG_BIN", str(TARGET / "release/corelog"))
JAVA = TARGET / "tools/java"
SMALL_JVM = ["java", "-Xmx512m", "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1"]
# A cluster id must be the base64 form of 16 bytes; any will do.
CLUSTER_ID = "Y29yZWxvZy1yZWZlcmVuYw"
READY_SECONDS = 60
ANSWER_SECONDS = 120

# What both brokers are told, by Kafka's names.
SETTINGS = {
    "offsets.topic.replication.factor": 1,
    "offsets.topic.num.partitions": 4,
    "group.initial.rebalance.delay.ms": 0,
    "log.retention.hours": 240,
}


def free_port():
    """A port that nobody listens on, of five digits and below those that outgoing connections get."""
    for port in range(12_000 + os.getpid() * 7 % 9_000, 32_000):
        if port in free_port.given:
            continue
        with socket.socket() as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind(("127.0.0.1", port))
            except OSError:
                continue
        free_port.given.add(port)
        return port
    raise SystemExit("no free port")


free_port.given = set()


class Broker:
    """A broker over a directory of its own, on loopback; ended by its process id."""

    def __init__(self, name, work):
        self.name, self.work = name, work / name
        self.work.mkdir()
        self.port, self.second, self.third = free_port(), free_port(), free_port()
        self.bootstrap = f"127.0.0.1:{self.port}"
        self.data = self.work / "data"
        self.processes, self.stopped = [], False

    def spawn(self, command, log, **pipes):
        if self.stopped:
            raise SystemExit(f"{self.name} is stopped")
        with open(self.work / log, "ab") as errors:
            process = subprocess.Popen(command, stderr=errors, cwd=self.work, **pipes)
        self.processes.append(process)
        return process

    def serves(self):
        """Whether an ApiVersions request is answered."""
        try:
            with socket.create_connection(("127.0.0.1", self.port), timeout=2) as connection:
                connection.sendall(bytes([0, 0, 0, 10, 0, 18, 0, 0, 0, 0, 0, 7, 255, 255]))
                return connection.recv(8)[4:8] == bytes([0, 0, 0, 7])
        except OSError:
            return False

    def start(self):
        process = self.launch()
        deadline = time.monotonic() + READY_SECONDS
        while not self.serves():
            if process.poll() is not None or time.monotonic() > deadline:
                log = (self.work / "broker.log").read_text(errors="replace")
                raise SystemExit(f"{self.name} does not serve:\n{log[-3000:]}")
            time.sleep(0.1)
        # What the tools' own logging would print is no part of what they say.
        classes = f"{JAVA}/classes:{JAVA}/kafka/*"
        self.tools = self.spawn(
            [*SMALL_JVM, "-Dorg.apache.logging.log4j.level=OFF", "-cp", classes, "Tools", self.bootstrap],
            "tools.log", stdin=subprocess.PIPE, stdout=subprocess.PIPE)

    def ask(self, *words):
        """A command of the Tools program: its exit code and what it printed."""
        # Nobody waits for a tool that hangs for ever.
        watch = threading.Timer(ANSWER_SECONDS, self.tools.kill)
        watch.start()
        try:
            self.tools.stdin.write(("\t".join(words) + "\n").encode())
            self.tools.stdin.flush()
            head = self.tools.stdout.readline().split()
            return int(head[0]), self.tools.stdout.read(int(head[1])).decode()
        except (OSError, IndexError):
            raise SystemExit(f"the tools beside {self.name} have ended at: {' '.join(words)}") from None
        finally:
            watch.cancel()

    def stop(self):
        self.stopped = True
        for process in reversed(self.processes):
            if process.poll() is None:
                process.send_signal(signal.SIGKILL)
                process.wait()

    def neutral(self, text):
        """The text without this broker's own addresses and directories."""
        text = text.replace(str(self.data), "DIR")
        for port, word in (self.port, "PORT"), (self.second, "PORT2"), (self.third, "PORT3"):
            text = re.sub(rf"\b{port}\b", word, text)
        return text


class Kafka(Broker):
    def launch(self):
        settings = self.work / "server.properties"
        lines = {
            "process.roles": "broker,controller",
            "node.id": 1,
            "controller.quorum.voters": f"1@127.0.0.1:{self.second}",
            "controller.listener.names": "CONTROLLER",
            "listeners": f"PLAINTEXT://127.0.0.1:{self.port},CONTROLLER://127.0.0.1:{self.second}",
            "advertised.listeners": f"PLAINTEXT://127.0.0.1:{self.port}",
            "listener.security.protocol.map": "PLAINTEXT:PLAINTEXT,CONTROLLER:PLAINTEXT",
            "log.dirs": self.data,
            **SETTINGS,
        }
        settings.write_text("".join(f"{name}={value}\n" for name, value in lines.items()))
        java = [*SMALL_JVM, "-Dorg.apache.logging.log4j.level=ERROR", "-cp", f"{JAVA}/kafka/*"]
        with open(self.work / "broker.log", "ab") as log:
            subprocess.run([*java, "kafka.tools.StorageTool", "format", "--cluster-id", CLUSTER_ID, "--config",
                            str(settings)], stdout=log, stderr=log, check=True)
        return self.spawn([*java, "kafka.Kafka", str(settings)], "broker.log", stdout=subprocess.DEVNULL)


class Corelog(Broker):
    def launch(self):
        config = self.work / "corelog.toml"
        lines = [f'"{name}" = {value}\n' for name, value in SETTINGS.items()]
        config.write_text("[defaults]\n" + "".join(lines))
        return self.spawn(
            [CORELOG, "dev", "--dir", str(self.data), "--kafka", self.bootstrap, "--native", f"127.0.0.1:{self.second}",
             "--admin", f"127.0.0.1:{self.third}", "--shards", "2", "--memory", "64MiB", "--config", str(config)],
            "broker.log", stdout=subprocess.DEVNULL)

//! The workloads, what is measured of each, and what it must reach.

use std::collections::BTreeMap;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::client::Settings;

/// Whom a figure is divided by.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Against {
    Kafka,
    Floor,
    /// Nobody: the figure itself is judged.
    Nothing,
}

/// One figure of a workload.
#[derive(Debug, Clone)]
pub(crate) struct Figure {
    /// Its name among the figures of a run.
    pub(crate) key: &'static str,
    pub(crate) text: &'static str,
    pub(crate) against: Against,
    pub(crate) limit: Option<f64>,
    pub(crate) stretch: Option<f64>,
    pub(crate) more_is_better: bool,
}

/// What a workload does to a broker.
#[derive(Debug, Clone)]
pub(crate) enum Load {
    Produce(Produce),
    /// Everything a topic in the caches holds, read by so many consumers.
    Consume {
        consumers: i32,
    },
    /// Records at this rate, from due until consumed.
    Latency {
        rate: u64,
    },
    /// The same load over many partitions, and for ours over 6 as well.
    Partitions {
        partitions: i32,
        load: Produce,
    },
    /// By Kafka's own tool.
    Java(Produce),
    /// A backlog that no cache holds, read while more arrives.
    Drain,
    /// SIGKILL with many partitions, then the way back; and idling.
    Recover,
}

impl Load {
    /// Whether broker and client have a CPU each. Where time counts rather than cost, a broker may use
    /// all that there are.
    pub(crate) const fn is_pinned(&self) -> bool {
        !matches!(self, Self::Latency { .. } | Self::Recover)
    }
}

/// A produce load.
#[derive(Debug, Clone)]
pub(crate) struct Produce {
    pub(crate) partitions: i32,
    pub(crate) record_bytes: usize,
    pub(crate) batch_bytes: usize,
    pub(crate) linger_ms: u32,
    pub(crate) acks: &'static str,
    pub(crate) producers: usize,
    pub(crate) keys: u64,
    /// Bytes a second; 0 is as fast as they are taken.
    pub(crate) rate: u64,
    pub(crate) timed: bool,
    pub(crate) text: bool,
    pub(crate) codec: &'static str,
    /// Requests under way on one connection; 0 is librdkafka's default.
    pub(crate) in_flight: u32,
}

/// How much of it.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Size {
    pub(crate) pairs: usize,
    /// Bytes of record values in one run; for latency, seconds.
    pub(crate) amount: f64,
}

/// One row of the matrix.
#[derive(Debug, Clone)]
pub(crate) struct Workload {
    pub(crate) number: u8,
    pub(crate) name: &'static str,
    pub(crate) text: &'static str,
    pub(crate) load: Load,
    /// Kafka's topic has `flush.messages=1`: on disk before the acknowledgement on both sides.
    pub(crate) flush: bool,
    /// Whether the floor program runs beside the two.
    pub(crate) floor: bool,
    pub(crate) figures: Vec<Figure>,
    pub(crate) short: Size,
    pub(crate) full: Size,
    /// Left out of the short mode.
    pub(crate) full_only: bool,
}

impl Workload {
    pub(crate) fn size(&self, full: bool) -> Size {
        if full { self.full } else { self.short }
    }

    /// What an acknowledgement means: ours, then Kafka's.
    pub(crate) fn durability(&self) -> &'static str {
        if self.flush { "synced / synced" } else { "synced / page cache" }
    }
}

const GB: f64 = 1e9;

/// What most workloads vary.
pub(crate) const BULK: Produce = Produce {
    partitions: 6,
    record_bytes: 1_024,
    batch_bytes: 1_000_000,
    linger_ms: 5,
    acks: "1",
    producers: 1,
    keys: 0,
    rate: 0,
    timed: false,
    text: false,
    codec: "none",
    in_flight: 0,
};

const DEFAULT: Produce = Produce { batch_bytes: 16_384, ..BULK };

const SINGLE: Produce = Produce { batch_bytes: 1, linger_ms: 0, ..BULK };

const KEYED: Produce =
    Produce { partitions: 100, producers: 50, keys: 10_000, timed: true, ..DEFAULT };

const CPU_PER_GB: (&str, &str) = ("cpu_s_per_gb", "broker CPU s/GB");
const CPU_PER_REQUEST: (&str, &str) = ("cpu_us_per_request", "broker CPU us/request");
const CPU_PER_MILLION: (&str, &str) = ("cpu_s_per_million", "broker CPU s/M records");
const RECORDS: (&str, &str) = ("records_per_s", "records/s");
const BYTES: (&str, &str) = ("mb_per_s", "MB/s");
const WRITTEN: (&str, &str) = ("written_per_byte", "bytes written per byte");

/// At most `limit` times Kafka's.
fn kafka((key, text): (&'static str, &'static str), limit: f64) -> Figure {
    Figure {
        key,
        text,
        against: Against::Kafka,
        limit: Some(limit),
        stretch: None,
        more_is_better: false,
    }
}

/// At least `limit` times Kafka's.
fn faster(name: (&'static str, &'static str), limit: f64) -> Figure {
    Figure { more_is_better: true, ..kafka(name, limit) }
}

/// Against the floor program.
fn floor(name: (&'static str, &'static str), limit: Option<f64>) -> Figure {
    Figure { against: Against::Floor, limit, ..kafka(name, 0.0) }
}

/// At most `limit`, by itself.
fn absolute(name: (&'static str, &'static str), limit: f64) -> Figure {
    Figure { against: Against::Nothing, ..kafka(name, limit) }
}

impl Figure {
    fn or_better(self, stretch: f64) -> Self {
        Self { stretch: Some(stretch), ..self }
    }
}

/// Sizes of the short and of the full mode.
fn sizes(pairs: usize, short: f64, full: f64) -> (Size, Size) {
    (Size { pairs, amount: short }, Size { pairs: pairs.max(8), amount: full })
}

fn produce(
    number: u8,
    name: &'static str,
    text: &'static str,
    load: Produce,
    (short, full): (Size, Size),
    figures: Vec<Figure>,
) -> Workload {
    let floor = figures.iter().any(|figure| figure.against == Against::Floor);
    Workload {
        number,
        name,
        text,
        load: Load::Produce(load),
        flush: false,
        floor,
        figures,
        short,
        full,
        full_only: false,
    }
}

/// Every workload, in the order in which they are run.
pub(crate) fn workloads() -> Vec<Workload> {
    [bytes_and_requests(), durable(), many(), reading(), waiting()].concat()
}

/// Workloads that producers alone make, Kafka acknowledging from the page cache.
fn bytes_and_requests() -> Vec<Workload> {
    vec![
        produce(
            1,
            "bulk-1k",
            "1 KB records, 1 MB batches, acks=1",
            BULK,
            sizes(8, 1.5 * GB, 4.0 * GB),
            vec![kafka(CPU_PER_GB, 0.30).or_better(0.27), floor(CPU_PER_GB, Some(1.5))],
        ),
        produce(
            2,
            "default-1k",
            "1 KB records, 16 KB batches, acks=1",
            DEFAULT,
            sizes(8, 0.75 * GB, 4.0 * GB),
            vec![
                kafka(CPU_PER_REQUEST, 0.20).or_better(0.12),
                faster(RECORDS, 3.0),
                floor(CPU_PER_REQUEST, None),
            ],
        ),
        Workload {
            load: Load::Java(BULK),
            ..produce(
                1,
                "bulk-1k-java",
                "the same by kafka-producer-perf-test",
                BULK,
                sizes(3, 0.75 * GB, 4.0 * GB),
                vec![kafka(CPU_PER_GB, 0.30)],
            )
        },
        produce(
            3,
            "tiny-100",
            "100 B records, 1 MB batches",
            Produce { record_bytes: 100, ..BULK },
            sizes(3, 0.4 * GB, 1.5 * GB),
            vec![kafka(CPU_PER_MILLION, 0.30).or_better(0.18), floor(CPU_PER_MILLION, None)],
        ),
        produce(
            4,
            "big-10k",
            "10 KB records, 1 MB batches",
            Produce { record_bytes: 10_240, ..BULK },
            sizes(3, 1.5 * GB, 4.0 * GB),
            vec![kafka(CPU_PER_GB, 0.30), floor(CPU_PER_GB, None)],
        ),
        produce(
            5,
            "single-1",
            "one record per request, one in flight",
            Produce { in_flight: 1, ..SINGLE },
            sizes(3, 0.04 * GB, 0.3 * GB),
            vec![kafka(CPU_PER_REQUEST, 0.40), floor(CPU_PER_REQUEST, None)],
        ),
        produce(
            5,
            "single-1000",
            "one record per request, 1,000 in flight",
            Produce { in_flight: 1_000, ..SINGLE },
            sizes(3, 0.1 * GB, 0.6 * GB),
            vec![kafka(CPU_PER_REQUEST, 0.15), faster(RECORDS, 6.0), floor(CPU_PER_REQUEST, None)],
        ),
        produce(
            15,
            "lz4",
            "1 KB of text, lz4, 64 KB batches",
            Produce { text: true, codec: "lz4", batch_bytes: 65_536, ..BULK },
            sizes(3, 1.5 * GB, 4.0 * GB),
            vec![kafka(CPU_PER_GB, 0.20)],
        ),
    ]
}

/// On disk before the acknowledgement on both sides.
fn durable() -> Vec<Workload> {
    vec![
        Workload {
            flush: true,
            ..produce(
                6,
                "durable-16k",
                "acks=all and synced on both sides, 16 KB batches",
                Produce { acks: "all", ..DEFAULT },
                sizes(8, 0.3 * GB, 1.0 * GB),
                vec![
                    kafka(CPU_PER_REQUEST, 0.10),
                    faster(RECORDS, 6.0),
                    absolute(WRITTEN, 2.2).or_better(1.3),
                    floor(CPU_PER_REQUEST, None),
                ],
            )
        },
        Workload {
            flush: true,
            ..produce(
                7,
                "durable-1m",
                "acks=all and synced on both sides, 1 MB batches",
                Produce { acks: "all", ..BULK },
                sizes(3, 1.0 * GB, 4.0 * GB),
                vec![
                    kafka(CPU_PER_GB, 0.30),
                    faster(BYTES, 1.5),
                    absolute(WRITTEN, 1.2),
                    floor(CPU_PER_GB, None),
                ],
            )
        },
    ]
}

/// Many producers, many partitions.
fn many() -> Vec<Workload> {
    let keyed = || vec![kafka(CPU_PER_REQUEST, 0.25), kafka(("ack_p99_us", "p99 ack us"), 0.5)];
    let partitions = |name, text, partitions, figures, full_only| Workload {
        load: Load::Partitions {
            partitions,
            load: Produce { rate: 100_000_000, batch_bytes: 1_000_000, ..BULK },
        },
        full_only,
        ..produce(9, name, text, BULK, sizes(3, 0.8 * GB, 4.0 * GB), figures)
    };
    vec![
        produce(
            8,
            "keyed-5mb",
            "50 keyed producers, 100 partitions, 5 MB/s",
            Produce { rate: 5_000_000, ..KEYED },
            sizes(3, 0.05 * GB, 0.3 * GB),
            keyed(),
        ),
        produce(
            8,
            "keyed-max",
            "50 keyed producers, 100 partitions, at full rate",
            KEYED,
            sizes(3, 0.5 * GB, 4.0 * GB),
            keyed(),
        ),
        partitions(
            "partitions-1k",
            "1,000 partitions at 100 MB/s",
            1_000,
            vec![
                kafka(CPU_PER_GB, 0.20),
                absolute(("cost_per_6_partitions", "own CPU/GB, this / 6 partitions"), 1.5),
                absolute(WRITTEN, 2.2).or_better(1.3),
            ],
            false,
        ),
        partitions(
            "partitions-10k",
            "10,000 partitions at 100 MB/s",
            10_000,
            vec![
                Figure { limit: None, ..kafka(CPU_PER_GB, 0.0) },
                absolute(("cost_per_6_partitions", "own CPU/GB, this / 6 partitions"), 2.0),
                absolute(WRITTEN, 2.2).or_better(1.3),
            ],
            true,
        ),
    ]
}

fn reading() -> Vec<Workload> {
    let reading = |number, name, text, load, sizes, figures| Workload {
        load,
        ..produce(number, name, text, BULK, sizes, figures)
    };
    let hot = |name, text, consumers| {
        reading(
            10,
            name,
            text,
            Load::Consume { consumers },
            sizes(8, 2.0 * GB, 4.0 * GB),
            vec![kafka(CPU_PER_GB, 1.0).or_better(0.85)],
        )
    };
    vec![
        hot("hot-consume-1", "1 KB records from the cache, 1 consumer", 1),
        hot("hot-consume-4", "1 KB records from the cache, 4 consumers", 4),
        reading(
            11,
            "cold-drain",
            "a backlog from disk while 50 MB/s are produced",
            Load::Drain,
            (Size { pairs: 3, amount: 3.0 * GB }, Size { pairs: 8, amount: 6.0 * GB }),
            vec![
                kafka(CPU_PER_GB, 0.60),
                faster(BYTES, 1.3),
                absolute(("p99_during_per_before", "producer p99, during / before"), 1.5)
                    .or_better(1.1),
            ],
        ),
    ]
}

fn waiting() -> Vec<Workload> {
    let latency = |name, text, rate, (short, full), flush| Workload {
        load: Load::Latency { rate },
        flush,
        full_only: flush,
        ..produce(
            12,
            name,
            text,
            BULK,
            sizes(8, short, full),
            vec![
                kafka(("e2e_p50_us", "p50 us"), if flush { 1.0 } else { 0.5 }),
                kafka(("e2e_p99_us", "p99 us"), if flush { 0.25 } else { 0.33 }),
                kafka(("e2e_p999_us", "p99.9 us"), 0.33),
                kafka(("e2e_p9999_us", "p99.99 us"), 0.33),
            ],
        )
    };
    vec![
        latency("latency-5k", "5,000 records/s, acks=all, linger 0", 5_000, (20.0, 120.0), false),
        latency("latency-20k", "20,000 records/s, acks=all, linger 0", 20_000, (8.0, 60.0), false),
        latency(
            "latency-5k-synced",
            "5,000 records/s, synced on both sides",
            5_000,
            (20.0, 60.0),
            true,
        ),
        Workload {
            load: Load::Recover,
            ..produce(
                14,
                "recover",
                "kill -9 with 5,000 partitions and 6 GB, then idle",
                BULK,
                (Size { pairs: 3, amount: 6.0 * GB }, Size { pairs: 3, amount: 6.0 * GB }),
                vec![
                    kafka(("first_ack_s", "s to first ack"), 0.05),
                    absolute(("first_ack_s", "s to first ack"), 2.0),
                    kafka(("resident_mib", "resident MiB"), 0.20),
                    kafka(("idle_cpu_percent", "idle CPU %"), 0.10),
                ],
            )
        },
    ]
}

impl Produce {
    /// librdkafka's settings.
    pub(crate) fn settings(&self) -> Settings {
        let mut settings = BTreeMap::from([
            ("acks", self.acks.to_owned()),
            ("linger.ms", self.linger_ms.to_string()),
            ("compression.type", self.codec.to_owned()),
            ("queue.buffering.max.messages", "1000000".to_owned()),
            // Enough to keep every partition's batch full, and little enough to stay in caches.
            ("queue.buffering.max.kbytes", "65536".to_owned()),
            ("message.timeout.ms", "590000".to_owned()),
        ]);
        if self.batch_bytes == 1 {
            settings.insert("batch.num.messages", "1".to_owned());
        } else {
            settings.insert("batch.size", self.batch_bytes.to_string());
            settings.insert("batch.num.messages", "1000000".to_owned());
        }
        if self.in_flight > 0 {
            settings.insert("max.in.flight.requests.per.connection", self.in_flight.to_string());
        }
        owned(settings)
    }

    /// Records that go to one partition in a row: one batch.
    pub(crate) fn chunk(&self) -> u64 {
        (self.batch_bytes / (self.record_bytes + 8)).max(1) as u64
    }
}

/// The Java producer's settings for the same load. Its own default of 128 KiB for the socket's buffer makes it
/// copy large requests many times.
pub(crate) fn java_settings(load: &Produce) -> Settings {
    owned(BTreeMap::from([
        ("acks", load.acks.to_owned()),
        ("linger.ms", load.linger_ms.to_string()),
        ("batch.size", load.batch_bytes.to_string()),
        ("compression.type", load.codec.to_owned()),
        ("send.buffer.bytes", "-1".to_owned()),
        ("buffer.memory", "67108864".to_owned()),
    ]))
}

/// A producer that sends every record at once.
pub(crate) fn prompt_producer() -> Settings {
    owned(BTreeMap::from([
        ("acks", "all".to_owned()),
        ("linger.ms", "0".to_owned()),
        ("message.timeout.ms", "590000".to_owned()),
    ]))
}

/// A consumer that is told of records at once, and does not rest when its queue is full.
pub(crate) fn consumer() -> Settings {
    owned(BTreeMap::from([
        ("fetch.wait.max.ms", "500".to_owned()),
        ("fetch.min.bytes", "1".to_owned()),
        ("fetch.queue.backoff.ms", "2".to_owned()),
        ("queued.max.messages.kbytes", "65536".to_owned()),
    ]))
}

fn owned(settings: BTreeMap<&str, String>) -> Settings {
    settings.into_iter().map(|(name, value)| (name.to_owned(), value)).collect()
}

/// How long records flow before they count.
pub(crate) const LATENCY_WARM_UP: Duration = Duration::from_secs(3);

/// The workloads that these names or numbers mean; all that the mode has when there are none.
pub(crate) fn chosen(names: &[String], full: bool) -> Result<Vec<Workload>, String> {
    let all = workloads();
    if names.is_empty() {
        return Ok(all.into_iter().filter(|workload| full || !workload.full_only).collect());
    }
    let is = |workload: &Workload, name: &String| {
        workload.name == name || workload.number.to_string() == *name
    };
    if let Some(unknown) = names.iter().find(|name| !all.iter().any(|one| is(one, name))) {
        return Err(format!("no workload is called {unknown}; see `list`"));
    }
    Ok(all.into_iter().filter(|one| names.iter().any(|name| is(one, name))).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_told_apart_and_numbers_mean_all_of_a_row() {
        let all = workloads();
        for (index, workload) in all.iter().enumerate() {
            assert!(all[..index].iter().all(|other| other.name != workload.name));
        }
        let names = |asked: &[&str]| -> Vec<&str> {
            let asked: Vec<String> = asked.iter().map(ToString::to_string).collect();
            chosen(&asked, false).unwrap().iter().map(|workload| workload.name).collect()
        };
        assert_eq!(names(&["12"]), ["latency-5k", "latency-20k", "latency-5k-synced"]);
        assert_eq!(names(&["bulk-1k", "6"]), ["bulk-1k", "durable-16k"]);
        assert!(chosen(&["13".to_owned()], false).is_err());
        assert!(chosen(&[], false).unwrap().iter().all(|workload| !workload.full_only));
    }

    #[test]
    fn the_short_mode_has_the_pairs_it_promises() {
        let second_opinion = |workload: &Workload| matches!(workload.load, Load::Java(_));
        for workload in chosen(&[], false).unwrap() {
            if second_opinion(&workload) {
                continue;
            }
            let least = if [1, 2, 6, 10, 12].contains(&workload.number) { 8 } else { 3 };
            assert!(workload.short.pairs >= least, "{}", workload.name);
        }
    }
}

//! Rows S11 to S16: batches that lie, and the error code that each lie earns.

use tests::batch::{
    self, ATTRIBUTES, BASE_OFFSET, COUNT, CRC, LAST_OFFSET_DELTA, LENGTH, MAGIC, MAX_TIMESTAMP,
    PRODUCER_EPOCH, PRODUCER_ID, put, record, sign, sized, varint, whole,
};

use crate::fixture::{Fixture, GROWTH_MAX, is_foreign, now_ms};

const CORRUPT: i64 = 2;
const TOO_LARGE: i64 = 10;
const INVALID_TIMESTAMP: i64 = 32;
const UNSUPPORTED_FOR_MESSAGE_FORMAT: i64 = 43;
const OUT_OF_ORDER: i64 = 45;
const TRANSACTIONAL_ID_DENIED: i64 = 53;
const INVALID_RECORD: i64 = 87;

/// Error codes, any of which a lie may earn.
type Codes = &'static [i64];

fn honest() -> Vec<u8> {
    let records = [record(0, b"a", b"one"), record(1, b"b", b"two"), record(2, b"c", b"three")];
    batch::batch(&records, now_ms())
}

/// An honest batch with one field overwritten and the checksum made true again.
fn with(at: usize, bytes: &[u8]) -> Vec<u8> {
    let mut lie = honest();
    put(&mut lie, at, bytes);
    sign(&mut lie);
    lie
}

/// An uncompressed batch around a record section of this many records.
fn around(count: i32, section: &[u8]) -> Vec<u8> {
    whole(0, count, now_ms(), section)
}

/// Sends every lie; then the log must hold nothing but the one honest batch that follows.
fn judge(name: &str, rows: &[(&str, Vec<u8>, Codes)]) {
    let mut fixture = Fixture::start(name);
    let mut wire = fixture.topic("lies", &[]);
    let before = fixture.resident();
    let mut wrong = Vec::new();
    for (lie, bytes, codes) in rows {
        match wire.produce("lies", 0, bytes) {
            Ok((code, _)) if codes.contains(&code) => {}
            Ok((code, _)) => wrong.push(format!("{lie}: error {code}, expected {codes:?}")),
            Err(error) => {
                wrong.push(format!("{lie}: {error}, expected {codes:?}"));
                wire = fixture.connect();
            }
        }
    }
    if is_foreign() {
        // Kafka takes some lies that we refuse; what it says is printed to compare.
        println!("{name}:\n{}", wrong.join("\n"));
        return fixture.finish();
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    let (code, offset) = wire.produce("lies", 0, &honest()).unwrap();
    assert_eq!((code, offset), (0, 0), "a lie was appended");
    assert!(fixture.resident().saturating_sub(before) < GROWTH_MAX);
    fixture.finish();
}

#[test]
fn s11_a_checksum_that_does_not_hold() {
    let flipped = |at: usize| {
        let mut lie = honest();
        lie[at] ^= 1;
        lie
    };
    let last = honest().len() - 1;
    judge(
        "s11",
        &[
            ("the checksum itself", flipped(CRC), &[CORRUPT]),
            ("the last byte of the records", flipped(last), &[CORRUPT]),
            ("the attributes", flipped(ATTRIBUTES + 1), &[CORRUPT]),
            ("the time", flipped(MAX_TIMESTAMP), &[CORRUPT]),
            ("the count", flipped(COUNT + 3), &[CORRUPT]),
        ],
    );
}

#[test]
fn s12_headers_that_lie() {
    let two = [honest(), honest()].concat();
    let mut gap = honest();
    put(&mut gap, LENGTH, &(1_000_000_i32).to_be_bytes());
    let mut short = honest();
    put(&mut short, LENGTH, &(10_i32).to_be_bytes());
    let mut negative = honest();
    put(&mut negative, LENGTH, &(-1_i32).to_be_bytes());
    let mut producer = honest();
    put(&mut producer, PRODUCER_ID, &(77_i64).to_be_bytes());
    put(&mut producer, PRODUCER_EPOCH, &(0_i16).to_be_bytes());
    sign(&mut producer);
    let mut truncated = honest();
    truncated.truncate(40);
    let rows: Vec<(&str, Vec<u8>, Codes)> = vec![
        ("a base offset", with(BASE_OFFSET, &(5_i64).to_be_bytes()), &[INVALID_RECORD]),
        ("last delta too high", with(LAST_OFFSET_DELTA, &(9_i32).to_be_bytes()), &[INVALID_RECORD]),
        ("last delta too low", with(LAST_OFFSET_DELTA, &(1_i32).to_be_bytes()), &[INVALID_RECORD]),
        (
            "last delta negative",
            with(LAST_OFFSET_DELTA, &(-1_i32).to_be_bytes()),
            &[INVALID_RECORD],
        ),
        ("count too high", with(COUNT, &(4_i32).to_be_bytes()), &[INVALID_RECORD]),
        ("count zero", with(COUNT, &(0_i32).to_be_bytes()), &[INVALID_RECORD]),
        ("count negative", with(COUNT, &(-3_i32).to_be_bytes()), &[INVALID_RECORD]),
        ("count huge", with(COUNT, &i32::MAX.to_be_bytes()), &[INVALID_RECORD]),
        ("a control batch", with(ATTRIBUTES, &(0x20_i16).to_be_bytes()), &[INVALID_RECORD]),
        (
            "transactional without a producer",
            with(ATTRIBUTES, &(0x10_i16).to_be_bytes()),
            &[INVALID_RECORD, TRANSACTIONAL_ID_DENIED],
        ),
        (
            "an unknown codec",
            with(ATTRIBUTES, &(7_i16).to_be_bytes()),
            &[INVALID_RECORD, CORRUPT, 76],
        ),
        ("magic 1", with(MAGIC, &[1]), &[INVALID_RECORD, CORRUPT, UNSUPPORTED_FOR_MESSAGE_FORMAT]),
        ("magic 0", with(MAGIC, &[0]), &[INVALID_RECORD, CORRUPT, UNSUPPORTED_FOR_MESSAGE_FORMAT]),
        ("magic 3", with(MAGIC, &[3]), &[INVALID_RECORD, CORRUPT, UNSUPPORTED_FOR_MESSAGE_FORMAT]),
        (
            "magic 255",
            with(MAGIC, &[0xFF]),
            &[INVALID_RECORD, CORRUPT, UNSUPPORTED_FOR_MESSAGE_FORMAT],
        ),
        ("a producer without a sequence", producer, &[INVALID_RECORD, OUT_OF_ORDER]),
        ("two batches", two, &[INVALID_RECORD]),
        ("longer than it is", gap, &[INVALID_RECORD, CORRUPT]),
        ("shorter than a header", short, &[INVALID_RECORD, CORRUPT]),
        ("a negative length", negative, &[INVALID_RECORD, CORRUPT]),
        ("cut short", truncated, &[INVALID_RECORD, CORRUPT]),
        ("one byte", vec![0], &[INVALID_RECORD, CORRUPT]),
    ];
    judge("s12", &rows);
}

#[test]
fn s13_records_that_lie() {
    let mut headers = vec![0];
    for number in [0, 0, -1, -1, 1_000_000] {
        varint(number, &mut headers);
    }
    let mut key_beyond = vec![0];
    for number in [0, 0, 1_000_000] {
        varint(number, &mut key_beyond);
    }
    let mut value_beyond = vec![0];
    for number in [0, 0, -1, 50_000_000] {
        varint(number, &mut value_beyond);
    }
    let mut key_below = vec![0];
    for number in [0, 0, -9, -1, 0] {
        varint(number, &mut key_below);
    }
    let mut name_missing = vec![0];
    for number in [0, 0, -1, -1, 1, -1, -1] {
        varint(number, &mut name_missing);
    }
    let mut long = Vec::new();
    varint(1_000, &mut long);
    long.extend([0; 10]);
    let mut backwards = Vec::new();
    varint(-5, &mut backwards);
    let trailing = [record(0, b"k", b"v"), vec![0; 7]].concat();
    let twice = [record(0, b"k", b"v"), record(0, b"k", b"v")].concat();
    let skipping = [record(0, b"k", b"v"), record(2, b"k", b"v")].concat();
    judge(
        "s13",
        &[
            ("more headers than bytes", around(1, &sized(&headers)), &[INVALID_RECORD]),
            ("a key beyond the record", around(1, &sized(&key_beyond)), &[INVALID_RECORD]),
            ("a value beyond the batch", around(1, &sized(&value_beyond)), &[INVALID_RECORD]),
            ("a key of length -9", around(1, &sized(&key_below)), &[INVALID_RECORD]),
            ("a header without a name", around(1, &sized(&name_missing)), &[INVALID_RECORD]),
            ("a record longer than the batch", around(1, &long), &[INVALID_RECORD]),
            ("a record of negative length", around(1, &backwards), &[INVALID_RECORD]),
            ("a length that never ends", around(1, &[0xFF; 12]), &[INVALID_RECORD]),
            ("bytes after the last record", around(1, &trailing), &[INVALID_RECORD]),
            ("no bytes at all", around(1, &[]), &[INVALID_RECORD]),
            ("an offset twice", around(2, &twice), &[INVALID_RECORD]),
            ("an offset left out", around(2, &skipping), &[INVALID_RECORD]),
        ],
    );
}

#[test]
fn s14_bombs_are_not_unpacked_and_lies_of_the_codecs_do_no_harm() {
    if is_foreign() {
        return;
    }
    let mut fixture = Fixture::start("s14");
    // A topic with a codec of its own has everything recompressed, so it must be unpacked.
    let mut wire = fixture.topic("packed", &[("compression.type", "lz4")]);
    assert_eq!(wire.create_topic("tight", 1, &[("compression.type", "zstd")]).unwrap(), 0);
    for topic in ["packed", "tight"] {
        assert_eq!(wire.produce(topic, 0, &honest()).unwrap(), (0, 0));
    }
    let before = fixture.resident();
    let zstd = zstd::encode_all(std::io::repeat(0).take_some(1 << 30), 3).unwrap();
    let gzip = gzip_of(500 << 20);
    let snappy_claim = [0xFF, 0xFF, 0xFF, 0xFF, 0x0F, 0, 0, 0];
    let lz4_claim: Vec<u8> = [
        &[0x04, 0x22, 0x4D, 0x18, 0x68, 0x40][..],
        &u64::MAX.to_le_bytes()[..],
        &[0x00, 0xFF, 0xFF, 0xFF, 0x7F, 1, 2, 3],
    ]
    .concat();
    let rows: Vec<(&str, i16, Vec<u8>)> = vec![
        ("zstd, 1 GiB of nothing", 4, zstd),
        ("gzip, 500 MiB of nothing", 1, gzip),
        ("snappy that claims 4 GiB", 2, snappy_claim.to_vec()),
        ("lz4 that claims more than there is", 3, lz4_claim),
        ("gzip cut short", 1, vec![0x1F, 0x8B, 8, 0, 0, 0]),
        ("zstd that is none", 4, b"this is no frame".to_vec()),
        ("snappy that is none", 2, vec![0xFF; 40]),
        ("lz4 that is none", 3, vec![0; 40]),
        ("nothing at all", 4, Vec::new()),
    ];
    for (name, codec, section) in rows {
        let lie = whole(codec, 1, now_ms(), &section);
        // What is in the topic's own codec already is kept as it came.
        let topic = if codec == 3 { "tight" } else { "packed" };
        let (code, _) = wire.produce(topic, 0, &lie).unwrap();
        assert!([CORRUPT, TOO_LARGE, INVALID_RECORD].contains(&code), "{name}: error {code}");
        let grown = fixture.resident().saturating_sub(before);
        assert!(grown < GROWTH_MAX + (64 << 20), "{name}: grew by {grown} bytes");
    }
    for topic in ["packed", "tight"] {
        assert_eq!(wire.produce(topic, 0, &honest()).unwrap(), (0, 3), "a bomb was appended");
    }
    fixture.finish();
}

/// A reader that ends.
trait TakeSome: std::io::Read + Sized {
    fn take_some(self, bytes: u64) -> std::io::Take<Self> {
        self.take(bytes)
    }
}

impl TakeSome for std::io::Repeat {}

fn gzip_of(zeros: usize) -> Vec<u8> {
    use std::io::Write;
    let mut out = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::best());
    let block = vec![0; 1 << 20];
    for _ in 0..zeros >> 20 {
        out.write_all(&block).unwrap();
    }
    out.finish().unwrap()
}

#[test]
fn s15_batches_above_the_limit() {
    let fixture = Fixture::start("s15");
    let mut wire = fixture.topic("default", &[]);
    assert_eq!(wire.create_topic("small", 1, &[("max.message.bytes", "1000")]).unwrap(), 0);
    let of = |bytes: usize| batch::batch(&[record(0, b"k", &vec![7; bytes])], now_ms());
    let overhead = of(500_000).len() - 500_000;
    let largest = 1_048_588 - overhead;
    let rows = [
        ("default", largest, 0),
        ("default", largest + 1, TOO_LARGE),
        ("default", 8 << 20, TOO_LARGE),
        ("small", 900, 0),
        ("small", 1_000, TOO_LARGE),
    ];
    for (topic, bytes, code) in rows {
        let answered = wire.produce(topic, 0, &of(bytes)).unwrap();
        assert_eq!(answered.0, code, "{bytes} bytes to {topic}");
    }
    fixture.finish();
}

#[test]
fn s16_times_that_would_poison_the_index() {
    let fixture = Fixture::start("s16");
    let mut wire = fixture.topic("timed", &[]);
    let settings =
        [("message.timestamp.before.max.ms", "60000"), ("message.timestamp.after.max.ms", "60000")];
    assert_eq!(wire.create_topic("strict", 1, &settings).unwrap(), 0);
    assert_eq!(
        wire.create_topic("stamped", 1, &[("message.timestamp.type", "LogAppendTime")]).unwrap(),
        0
    );
    let hour = 3_600_000;
    let rows = [
        ("timed", 0, 0),
        ("timed", hour / 2, 0),
        ("timed", 2 * hour, INVALID_TIMESTAMP),
        ("timed", 1 << 50, INVALID_TIMESTAMP),
        ("timed", -1_000 * hour, 0),
        ("strict", 30_000, 0),
        ("strict", 120_000, INVALID_TIMESTAMP),
        ("strict", -120_000, INVALID_TIMESTAMP),
        ("stamped", 1 << 50, 0),
    ];
    for (topic, ahead, code) in rows {
        let batch = batch::batch(&[record(0, b"k", b"v")], now_ms() + ahead);
        let answered = wire.produce(topic, 0, &batch).unwrap();
        assert_eq!(answered.0, code, "{ahead} ms ahead to {topic}");
    }
    fixture.finish();
}

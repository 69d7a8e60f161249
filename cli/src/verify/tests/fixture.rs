//! Writes a small data directory from `docs/format.md` alone: one shard, one partition, two segments, five groups.

use std::fs;
use std::path::{Path, PathBuf};

use protocol::batch::RawBatch;
use protocol::batch::builder::BatchBuilder;
use protocol::batch::compress::Compression;
use protocol::{LeaderEpoch, Offset};

pub(super) const TOPIC: [u8; 16] = [7; 16];
pub(super) const RING_FILE_BYTES: usize = 65_536;
const UUID: [u8; 16] = [9; 16];
const DIRECTORY: [u8; 16] = [5; 16];
const LOG: u32 = 3;

/// The directory, and what tests want to know about it.
pub(super) struct Fixture {
    pub(super) dir: tempfile::TempDir,
    /// Where each group lies in the ring file, and where it ends.
    pub(super) groups: Vec<(usize, usize)>,
    /// Bytes of the sealed segment that are batches; the rest is padding.
    pub(super) sealed_length: usize,
    /// Bytes of the open segment that are in its file.
    pub(super) flushed: usize,
}

struct Batch {
    base: i64,
    next: i64,
    bytes: Vec<u8>,
    max_timestamp: i64,
}

fn batch(base: i64, count: i64, value_bytes: usize) -> Batch {
    let mut builder = BatchBuilder::new(Compression::None);
    builder.set_place(Offset::new(base).unwrap(), LeaderEpoch::new(1).unwrap());
    let value = vec![b'v'; value_bytes];
    for nth in 0..count {
        builder.append(Some(b"key"), Some(&value), &[], 1_000 + base + nth).unwrap();
    }
    let mut bytes = Vec::new();
    builder.build(&mut bytes).unwrap();
    Batch { base, next: base + count, bytes, max_timestamp: 1_000 + base + count - 1 }
}

/// `count` batches of three records each.
fn batches(base: i64, count: i64, value_bytes: usize) -> Vec<Batch> {
    (0..count).map(|nth| batch(base + nth * 3, 3, value_bytes)).collect()
}

fn join(batches: &[Batch]) -> Vec<u8> {
    batches.iter().flat_map(|batch| batch.bytes.clone()).collect()
}

fn pad(bytes: &mut Vec<u8>) {
    bytes.resize(bytes.len().next_multiple_of(4096), 0);
}

fn put_crc(bytes: &mut [u8], at: usize) {
    bytes[at..at + 4].fill(0);
    let crc = crc32c::crc32c(bytes);
    bytes[at..at + 4].copy_from_slice(&crc.to_le_bytes());
}

fn put(bytes: &mut [u8], at: usize, field: &[u8]) {
    bytes[at..at + field.len()].copy_from_slice(field);
}

fn write(path: &Path, bytes: &[u8]) {
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    fs::write(path, bytes).unwrap();
}

/// Index entries with one region per two batches.
fn entries(batches: &[Batch], base: i64) -> Vec<[u8; 24]> {
    let mut position = 0;
    let mut entries = Vec::new();
    for region in batches.chunks(2) {
        let bytes = join(region);
        let mut entry = [0; 24];
        put(&mut entry, 0, &u32::try_from(region[0].base - base).unwrap().to_le_bytes());
        put(&mut entry, 4, &u32::try_from(position).unwrap().to_le_bytes());
        put(&mut entry, 8, &region.last().unwrap().max_timestamp.to_le_bytes());
        put(&mut entry, 16, &crc32c::crc32c(&bytes).to_le_bytes());
        position += bytes.len();
        entries.push(entry);
    }
    entries
}

/// What compaction may leave of the sealed segment: gaps, and a last batch that is empty.
fn compacted(batches: &[Batch]) -> Vec<Batch> {
    let mut kept = Vec::new();
    for at in [1, 2, 4, 5, 6, 7] {
        let Batch { base, next, max_timestamp, .. } = batches[at];
        let bytes = if at == 7 {
            RawBatch(&batches[at].bytes).check().unwrap().emptied().to_vec()
        } else {
            batches[at].bytes.clone()
        };
        kept.push(Batch { base, next, bytes, max_timestamp });
    }
    kept
}

fn index_page(batches: &[Batch], base: i64) -> Vec<u8> {
    let entries = entries(batches, base);
    let mut page = vec![0; 4096];
    put(&mut page, 0, b"CLIX");
    put(&mut page, 4, &1u16.to_le_bytes());
    put(&mut page, 6, &u16::try_from(entries.len()).unwrap().to_le_bytes());
    put(&mut page, 16, &TOPIC);
    put(&mut page, 36, &u32::try_from(join(batches).len()).unwrap().to_le_bytes());
    put(&mut page, 40, &base.to_le_bytes());
    put(&mut page, 48, &batches.last().unwrap().next.to_le_bytes());
    put(&mut page, 56, &batches.last().unwrap().max_timestamp.to_le_bytes());
    put(&mut page, 64, &entries.concat());
    put_crc(&mut page, 8);
    page
}

fn entry(kind: u8, body: &[u8]) -> Vec<u8> {
    let size = u32::try_from(body.len()).unwrap().to_le_bytes();
    [&[kind, 0, 0, 0][..], &size, body].concat()
}

fn bytes_entry(position: usize, segment: i64, batches: &[Batch]) -> Vec<u8> {
    let body = [
        &LOG.to_le_bytes()[..],
        &u32::try_from(position).unwrap().to_le_bytes(),
        &segment.to_le_bytes(),
        &batches[0].base.to_le_bytes(),
        &batches.last().unwrap().next.to_le_bytes(),
        &join(batches),
    ];
    entry(1, &body.concat())
}

/// Groups one after the other, as one incarnation writes them.
struct Journal {
    ring: Vec<u8>,
    position: usize,
    sequence: u64,
    hash: u64,
    table: Vec<u8>,
    groups: Vec<(usize, usize)>,
}

impl Journal {
    fn group(&mut self, entries: &[Vec<u8>], run: Option<(i64, i64)>, durable_upto: usize) {
        let payload = [self.table.clone(), entries.concat()].concat();
        let blocks = (128 + payload.len()).div_ceil(4096);
        let mut header = [0; 128];
        put(&mut header, 0, b"CLG1");
        put(&mut header, 4, &1u16.to_le_bytes());
        put(&mut header, 6, &128u16.to_le_bytes());
        put(&mut header, 16, &UUID);
        put(&mut header, 32, &(self.position as u64).to_le_bytes());
        put(&mut header, 40, &self.sequence.to_le_bytes());
        put(&mut header, 48, &1u32.to_le_bytes());
        put(&mut header, 56, &u32::try_from(payload.len()).unwrap().to_le_bytes());
        put(&mut header, 60, &u32::try_from(blocks).unwrap().to_le_bytes());
        put(&mut header, 64, &self.hash.to_le_bytes());
        put(&mut header, 72, &(durable_upto as u64).to_le_bytes());
        put(&mut header, 80, &u32::try_from(self.table.len() / 24).unwrap().to_le_bytes());
        put(&mut header, 84, &u32::try_from(entries.len()).unwrap().to_le_bytes());
        let seed = [&UUID[..], &(self.position as u64).to_le_bytes()].concat();
        let payload_crc = crc32c::crc32c(&[&seed[..], &payload].concat());
        put(&mut header, 12, &payload_crc.to_le_bytes());
        let header_crc = crc32c::crc32c(&[&seed[..], &header].concat());
        put(&mut header, 8, &header_crc.to_le_bytes());
        put(&mut self.ring, self.position, &header);
        put(&mut self.ring, self.position + 128, &payload);
        let end = self.position + blocks * 4096;
        self.groups.push((self.position, end));
        self.position = end;
        self.sequence += 1;
        self.hash = u64::from(header_crc) << 32 | u64::from(payload_crc);
        self.table = run.map_or_else(Vec::new, |(first, next)| {
            [&LOG.to_le_bytes()[..], &[0; 4], &first.to_le_bytes(), &next.to_le_bytes()].concat()
        });
    }
}

fn list(items: &[Vec<u8>]) -> Vec<u8> {
    [u32::try_from(items.len()).unwrap().to_le_bytes().to_vec(), items.concat()].concat()
}

struct Part<'a> {
    base: i64,
    generation: u32,
    batches: &'a [Batch],
    flushed: usize,
    pages: u32,
    entries: Vec<[u8; 24]>,
}

fn segment(part: &Part<'_>) -> Vec<u8> {
    let last = part.batches.last().unwrap();
    let entries: Vec<Vec<u8>> = part.entries.iter().map(|entry| entry.to_vec()).collect();
    [
        &part.base.to_le_bytes()[..],
        &part.generation.to_le_bytes(),
        &last.next.to_le_bytes(),
        &u32::try_from(join(part.batches).len()).unwrap().to_le_bytes(),
        &u32::try_from(part.flushed).unwrap().to_le_bytes(),
        &last.max_timestamp.to_le_bytes(),
        &(last.next - 1).to_le_bytes(),
        &0i64.to_le_bytes(),
        &part.pages.to_le_bytes(),
        &(if part.pages > 0 { last.max_timestamp } else { -1 }).to_le_bytes(),
        &list(&entries),
    ]
    .concat()
}

fn checkpoint(parts: &[Part<'_>], as_of: u64) -> Vec<u8> {
    let end = parts.last().unwrap().batches.last().unwrap().next;
    let epoch = [&1i32.to_le_bytes()[..], &0i64.to_le_bytes()].concat();
    let producer_batch =
        [&0i32.to_le_bytes()[..], &2i32.to_le_bytes(), &[0; 8], &2i64.to_le_bytes(), &[0; 8]]
            .concat();
    let producer = [
        &77i64.to_le_bytes()[..],
        &0i16.to_le_bytes(),
        &[0; 2],
        &1_000i64.to_le_bytes(),
        &list(&[producer_batch]),
    ]
    .concat();
    let record = [
        &LOG.to_le_bytes()[..],
        &0i32.to_le_bytes(),
        &TOPIC,
        &[1, 0, 0, 0],
        &as_of.to_le_bytes(),
        &0i64.to_le_bytes(),
        &end.to_le_bytes(),
        &end.to_le_bytes(),
        &1i32.to_le_bytes(),
        &0i64.to_le_bytes(),
        &list(&[epoch]),
        &list(&[]),
        &list(&parts.iter().map(segment).collect::<Vec<_>>()),
        &list(&[producer]),
    ]
    .concat();
    let body = [&u32::try_from(record.len()).unwrap().to_le_bytes()[..], &record].concat();
    let mut header = vec![0; 64];
    put(&mut header, 0, b"CORELOGC");
    put(&mut header, 8, &1u32.to_le_bytes());
    put(&mut header, 16, &UUID);
    put(&mut header, 32, &1u64.to_le_bytes());
    put(&mut header, 40, &(body.len() as u64).to_le_bytes());
    put(&mut header, 48, &crc32c::crc32c(&body).to_le_bytes());
    put(&mut header, 52, &1u32.to_le_bytes());
    put(&mut header, 56, &(LOG + 1).to_le_bytes());
    put_crc(&mut header, 12);
    let mut file = [header, body].concat();
    pad(&mut file);
    file
}

fn superblock() -> Vec<u8> {
    let mut block = vec![0; 4096];
    put(&mut block, 0, b"CORELOGS");
    put(&mut block, 8, &2u32.to_le_bytes());
    put(&mut block, 16, &UUID);
    put(&mut block, 32, &4u64.to_le_bytes());
    put(&mut block, 48, &(RING_FILE_BYTES as u64).to_le_bytes());
    put(&mut block, 56, &1u64.to_le_bytes());
    put(&mut block, 72, &1u64.to_le_bytes());
    put(&mut block, 96, &1u32.to_le_bytes());
    put(&mut block, 100, &DIRECTORY);
    put(&mut block, 116, &1u32.to_le_bytes());
    put_crc(&mut block, 12);
    block.repeat(4)
}

fn manifest() -> Vec<u8> {
    let mut block = vec![0; 4096];
    put(&mut block, 0, b"CORELOGM");
    put(&mut block, 8, &2u32.to_le_bytes());
    put(&mut block, 16, &DIRECTORY);
    put(&mut block, 32, &1u32.to_le_bytes());
    put(&mut block, 36, &1u32.to_le_bytes());
    put(&mut block, 40, &4u16.to_le_bytes());
    put(&mut block, 42, b"test");
    put_crc(&mut block, 12);
    block
}

impl Fixture {
    pub(super) fn new() -> Self {
        Self::build(false)
    }

    /// The same with the sealed segment compacted.
    pub(super) fn new_compacted() -> Self {
        Self::build(true)
    }

    fn build(is_compacted: bool) -> Self {
        let sealed = batches(0, 8, 100);
        let thinned = compacted(&sealed);
        let open = batches(24, 6, 400);
        let (later, last) = (batches(42, 2, 400), batches(48, 1, 50));
        let sealed_length = join(&sealed).len();
        let (open_bytes, flushed) = (join(&open), 4096);
        let mut journal = Journal {
            ring: vec![0; RING_FILE_BYTES],
            position: 0,
            sequence: 1,
            hash: 0,
            table: Vec::new(),
            groups: Vec::new(),
        };
        let opened = [&1u32.to_le_bytes()[..], &[0; 4], &[0; 8], &[0; 8]].concat();
        journal.group(&[entry(10, &opened)], None, 0);
        journal.group(&[bytes_entry(0, 24, &open)], Some((24, 42)), journal.position);
        let after_open = open_bytes.len();
        journal.group(&[bytes_entry(after_open, 24, &later)], Some((42, 48)), journal.position);
        let after_later = after_open + join(&later).len();
        let end = bytes_entry(after_later, 24, &last);
        let high_watermark = [&LOG.to_le_bytes()[..], &[0; 4], &51i64.to_le_bytes()].concat();
        journal.group(&[end, entry(9, &high_watermark)], Some((48, 51)), journal.position);
        let mut last_entries = Vec::new();
        let new = Part {
            base: 0,
            generation: 1,
            batches: &thinned,
            flushed: join(&thinned).len().next_multiple_of(4096),
            pages: 1,
            entries: Vec::new(),
        };
        if is_compacted {
            let (log, zero) = (LOG.to_le_bytes(), 0u32.to_le_bytes());
            let (from, to) = (0i64.to_le_bytes(), 1i64.to_le_bytes());
            let swap = [&log[..], &zero, &from, &to, &segment(&new)].concat();
            let cleaned = [&log[..], &zero, &24i64.to_le_bytes()].concat();
            last_entries.extend([entry(15, &swap), entry(16, &cleaned)]);
        }
        last_entries.push(entry(11, &journal.sequence.to_le_bytes()));
        journal.group(&last_entries, None, journal.position);

        let dir = tempfile::tempdir().unwrap();
        let root = dir.path();
        write(&root.join("manifest"), &manifest());
        write(&root.join("lock"), &[]);
        write(&root.join("shards/0/superblock"), &superblock());
        write(&root.join("shards/0/ring-0"), &journal.ring);
        let parts = [
            Part {
                base: 0,
                generation: 0,
                batches: &sealed,
                flushed: sealed_length.next_multiple_of(4096),
                pages: 1,
                entries: Vec::new(),
            },
            Part {
                base: 24,
                generation: 0,
                batches: &open,
                flushed,
                pages: 0,
                entries: entries(&open, 24),
            },
        ];
        for copy in ["a", "b"] {
            let path = root.join(format!("shards/0/checkpoint-1.{copy}"));
            write(&path, &checkpoint(&parts, 3));
        }
        let (batches, name) = if is_compacted {
            (&thinned, Self::generation(0, 1))
        } else {
            (&sealed, Self::segment(0))
        };
        let mut file = join(batches);
        pad(&mut file);
        write(&root.join(&name), &file);
        write(&root.join(name.with_extension("index")), &index_page(batches, 0));
        // Space is allocated ahead, and holds whatever was written without being acknowledged.
        let mut file = open_bytes[..flushed].to_vec();
        file.resize(16_384, 0xee);
        write(&root.join(Self::segment(24)), &file);
        Self { dir, groups: journal.groups, sealed_length, flushed }
    }

    pub(super) fn segment(base: i64) -> PathBuf {
        let topic = uuid::Uuid::from_bytes(TOPIC).hyphenated().to_string();
        PathBuf::from(format!("topics/{topic}/0/{base:020}.log"))
    }

    pub(super) fn generation(base: i64, generation: u32) -> PathBuf {
        Self::segment(base).with_extension(format!("{generation}.log"))
    }

    pub(super) fn index(base: i64) -> PathBuf {
        Self::segment(base).with_extension("index")
    }

    pub(super) fn flip(&self, file: &Path, at: usize) {
        let path = self.dir.path().join(file);
        let mut bytes = fs::read(&path).unwrap();
        bytes[at] ^= 0x10;
        fs::write(&path, bytes).unwrap();
    }
}

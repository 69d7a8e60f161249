//! The manifest: is this a data directory, and can it be read (`docs/format.md` 1).

use std::path::Path;

use super::bytes::{BLOCK, Fields, crc_without, u32_at};
use super::{CannotCheck, Directory, Report};

const CRC_AT: usize = 12;
const VERSION: u32 = 2;
const CLUSTER_ID_BYTES_MAX: usize = 256;

/// What the rest of the check needs of it.
#[derive(Debug)]
pub(super) struct Manifest {
    pub(super) shards: u32,
    /// The directory's uuid.
    pub(super) uuid: [u8; 16],
}

/// A bound on what is believed: more shards than any machine has cores.
const SHARDS_MAX: u32 = 4096;

/// Reads and checks the manifest. Without a readable one nothing else can be checked.
pub(super) fn read(directory: &Directory, report: &mut Report) -> Result<Manifest, CannotCheck> {
    let path = Path::new("manifest");
    let foreign = |what: String| CannotCheck::Foreign { path: directory.root.join(path), what };
    let bytes = directory.read(path)?;
    if bytes.len() != BLOCK || !bytes.starts_with(b"CORELOGM") {
        return Err(foreign("this is not the manifest of a data directory".to_owned()));
    }
    let version = u32_at(&bytes, 8);
    if version != VERSION {
        return Err(foreign(format!(
            "format version {version} is of another release: this program reads {VERSION}"
        )));
    }
    if u32_at(&bytes, CRC_AT) != crc_without(&bytes, CRC_AT) {
        report.find(path, 0, "the checksum does not hold");
    }
    let shards = u32_at(&bytes, 36);
    if shards == 0 || shards > SHARDS_MAX {
        return Err(foreign(format!("{shards} shards are not possible")));
    }
    let mut fields = Fields(&bytes[40..]);
    let length = usize::from(fields.u16().unwrap_or(0));
    let cluster_id = fields.take(length).unwrap_or_default();
    if length > CLUSTER_ID_BYTES_MAX || std::str::from_utf8(cluster_id).is_err() {
        report.find(path, 40, "the cluster id is too long or no text");
    }
    if fields.0.iter().any(|&byte| byte != 0) {
        report.find(path, 42 + length as u64, "the rest of the block is not zero");
    }
    Ok(Manifest { shards, uuid: bytes[16..32].try_into().expect("sixteen bytes") })
}

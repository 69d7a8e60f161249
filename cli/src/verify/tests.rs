mod fixture;

use std::fs;

use self::fixture::{Fixture, RING_FILE_BYTES};
use super::*;

fn findings(fixture: &Fixture) -> Vec<Finding> {
    check(fixture.dir.path()).expect("it can be read").findings
}

#[test]
fn a_healthy_directory_is_clean_and_counted() {
    let fixture = Fixture::new();
    let report = check(fixture.dir.path()).unwrap();
    assert_eq!(report.findings, []);
    assert_eq!(report.notes, Vec::<String>::new());
    let counts = &report.counts;
    assert_eq!((counts.shards, counts.groups, counts.partitions, counts.segments), (1, 5, 1, 2));
    assert_eq!((counts.index_pages, counts.batches, counts.records), (1, 17, 51));
}

#[test]
fn a_flipped_byte_anywhere_in_a_file_is_found_and_the_file_is_named() {
    let ring = Path::new("shards/0/ring-0");
    let fixture = Fixture::new();
    let last_group = fixture.groups.len() - 1;
    let mut places: Vec<(PathBuf, std::ops::Range<usize>)> = vec![
        (PathBuf::from("manifest"), 12..4096),
        (PathBuf::from("shards/0/superblock"), 0..16_384),
        (PathBuf::from("shards/0/checkpoint-1.a"), 0..500),
        (PathBuf::from("shards/0/checkpoint-1.b"), 0..500),
        (Fixture::segment(0), 0..4096),
        (Fixture::segment(24), 0..fixture.flushed),
        (Fixture::index(0), 0..4096),
    ];
    // The newest group is not known to be durable, so damage to it is a torn tail.
    places.extend(
        fixture.groups[..last_group]
            .iter()
            .map(|&(start, _)| (ring.to_owned(), start..start + 150)),
    );
    for (file, range) in places {
        for at in range.step_by(37) {
            fixture.flip(&file, at);
            let found = findings(&fixture);
            assert!(
                found.iter().any(|it| it.file == file),
                "{} at {at}: {found:?}",
                file.display()
            );
            fixture.flip(&file, at);
        }
    }
    assert_eq!(findings(&fixture), []);
}

#[test]
fn a_compacted_segment_has_gaps_and_empty_batches() {
    let fixture = Fixture::new_compacted();
    let report = check(fixture.dir.path()).unwrap();
    assert_eq!(report.findings, []);
    assert_eq!((report.counts.batches, report.counts.records), (15, 42));
    let name = Fixture::generation(0, 1);
    for at in (0..4096).step_by(37) {
        fixture.flip(&name, at);
        let found = findings(&fixture);
        assert!(found.iter().any(|it| it.file == name), "{at}: {found:?}");
        fixture.flip(&name, at);
    }
    // Its last batch says how far it reaches.
    let root = fixture.dir.path();
    let whole = fs::read(root.join(&name)).unwrap();
    let (mut last, mut next) = (0, 0);
    while whole[next + 16] == 2 {
        let length = u32::from_be_bytes(whole[next + 8..next + 12].try_into().unwrap());
        (last, next) = (next, next + 12 + length as usize);
    }
    let mut cut = whole.clone();
    cut[last..].fill(0);
    fs::write(root.join(&name), cut).unwrap();
    assert!(!findings(&fixture).is_empty());
}

#[test]
fn files_of_an_interrupted_compaction_are_a_note() {
    let fixture = Fixture::new_compacted();
    let root = fixture.dir.path();
    let left = [
        Fixture::segment(0),
        Fixture::index(0),
        Fixture::segment(9),
        Fixture::generation(0, 2),
        Fixture::generation(24, 1),
    ];
    for file in &left {
        fs::write(root.join(file), b"x").unwrap();
    }
    let report = check(root).unwrap();
    assert_eq!(report.findings, []);
    assert_eq!(report.notes.len(), left.len(), "{:?}", report.notes);
    // Nothing was compacted there.
    fs::write(root.join(Fixture::segment(30)), b"x").unwrap();
    let found = findings(&fixture);
    assert_eq!(found.len(), 1, "{found:?}");
    assert_eq!(found[0].file, Fixture::segment(30));
}

#[test]
fn damage_to_a_batch_says_which_offsets() {
    let fixture = Fixture::new();
    fixture.flip(&Fixture::segment(0), 100);
    let found = findings(&fixture);
    let batch = found.iter().find(|it| it.what.contains("batch's checksum")).unwrap();
    assert_eq!((batch.offsets, batch.position), (Some((0, 3)), Some(0)));
    assert!(found.iter().any(|it| it.file == Fixture::index(0) && it.what.contains("region")));
}

#[test]
fn a_changed_base_offset_is_found_although_the_batch_checksum_does_not_cover_it() {
    let fixture = Fixture::new();
    let path = fixture.dir.path().join(Fixture::segment(0));
    let second = 12 + u32::from_be_bytes(fs::read(&path).unwrap()[8..12].try_into().unwrap());
    fixture.flip(&Fixture::segment(0), second as usize + 7);
    let found = findings(&fixture);
    assert!(found.iter().any(|it| it.what.contains("no batch holds these offsets")), "{found:?}");
}

#[test]
fn a_damaged_group_names_the_offsets_it_held() {
    let fixture = Fixture::new();
    let (start, _) = fixture.groups[2];
    fixture.flip(Path::new("shards/0/ring-0"), start + 300);
    let found = findings(&fixture);
    assert!(found.iter().any(|it| it.what.contains("groups 3 to 3 are damaged")), "{found:?}");
    assert!(found.iter().any(|it| it.offsets == Some((42, 48))), "{found:?}");
}

#[test]
fn a_torn_tail_is_a_note_and_no_finding() {
    let fixture = Fixture::new();
    let (start, _) = fixture.groups[4];
    fixture.flip(Path::new("shards/0/ring-0"), start + 130);
    let report = check(fixture.dir.path()).unwrap();
    assert_eq!(report.findings, []);
    assert!(report.notes.iter().any(|note| note.contains("torn tail")), "{:?}", report.notes);
    assert!(report.notes.iter().any(|note| note.contains("not shut down cleanly")));
}

#[test]
fn what_lies_beyond_the_logical_length_is_not_looked_at() {
    let fixture = Fixture::new();
    fixture.flip(&Fixture::segment(24), 16_000);
    fixture.flip(Path::new("shards/0/ring-0"), RING_FILE_BYTES - 1);
    assert_eq!(findings(&fixture), []);
}

#[test]
fn bytes_in_padding_are_found() {
    let fixture = Fixture::new();
    fixture.flip(&Fixture::segment(0), fixture.sealed_length + 1);
    let found = findings(&fixture);
    assert_eq!(found.len(), 1, "{found:?}");
    assert_eq!(found[0].position, Some(fixture.sealed_length as u64));
}

#[test]
fn missing_and_unexplained_files_are_found() {
    let removed = [
        (PathBuf::from("shards/0/superblock"), "superblock is missing"),
        (PathBuf::from("shards/0/checkpoint-1.b"), "copy of the checkpoint is missing"),
        (PathBuf::from("shards/0/ring-0"), "damaged or missing"),
        (Fixture::segment(0), "of 4096 that were flushed"),
        (Fixture::index(0), "0 pages of 1"),
    ];
    for (file, what) in removed {
        let fixture = Fixture::new();
        fs::remove_file(fixture.dir.path().join(&file)).unwrap();
        // A ring without groups knows nothing durable, except by the superblock.
        let found = findings(&fixture);
        if file.ends_with("ring-0") {
            let notes = check(fixture.dir.path()).unwrap();
            assert!(found.iter().any(|it| it.what.contains("no batch")), "{found:?} {notes:?}");
            let said = |it: &Finding| it.what == "the ring file is missing" && it.file == file;
            assert!(found.iter().any(said), "{found:?}");
            continue;
        }
        assert!(found.iter().any(|it| it.what.contains(what)), "{}: {found:?}", file.display());
    }
    for file in ["notes.txt", "shards/0/checkpoint-9.a", "topics/x/0/00000000000000000000.log"] {
        let fixture = Fixture::new();
        let path = fixture.dir.path().join(file);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, b"x").unwrap();
        let found = findings(&fixture);
        assert_eq!(found.len(), 1, "{found:?}");
        assert_eq!(found[0].file, Path::new(file));
    }
    let fixture = Fixture::new();
    fs::create_dir(fixture.dir.path().join(".lost")).unwrap();
    fs::write(fixture.dir.path().join(".lost/x"), b"x").unwrap();
    let report = check(fixture.dir.path()).unwrap();
    assert_eq!((report.findings.len(), report.notes.len()), (0, 1), "set aside is explained");
}

#[test]
fn a_directory_that_cannot_be_checked_says_why() {
    let fixture = Fixture::new();
    let root = fixture.dir.path();
    let held = File::open(root.join("lock")).unwrap();
    held.lock().unwrap();
    assert!(matches!(check(root), Err(CannotCheck::InUse(_))));
    drop(held);
    assert!(check(root).is_ok());
    let mut manifest = fs::read(root.join("manifest")).unwrap();
    manifest[8] = 1;
    fs::write(root.join("manifest"), manifest).unwrap();
    assert!(matches!(check(root), Err(CannotCheck::Foreign { .. })));
    assert!(matches!(check(&root.join("nowhere")), Err(CannotCheck::Read { .. })));
}

#[test]
fn every_kind_of_file_can_be_dumped() {
    let fixture = Fixture::new();
    let cases = [
        (PathBuf::from("manifest"), "cluster \"test\""),
        (PathBuf::from("shards/0/superblock"), "copy 3: journal"),
        (PathBuf::from("shards/0/checkpoint-1.a"), "segment 24 to 42"),
        (PathBuf::from("shards/0/ring-0"), "bytes of log 3: offsets 24..42"),
        (Fixture::segment(0), "key \"key\" value"),
        (Fixture::index(0), "4 entries"),
    ];
    for (file, expected) in cases {
        let mut out = Vec::new();
        dump::dump(&fixture.dir.path().join(&file), dump::Detail::Records, &mut out).unwrap();
        let text = String::from_utf8(out).unwrap();
        assert!(text.contains(expected), "{}: {text}", file.display());
    }
}

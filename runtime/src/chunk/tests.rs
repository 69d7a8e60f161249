//! Chunks, and the pool beneath them.

use std::rc::Rc;

use super::*;

fn pool(free_bytes_max: usize) -> Rc<Pool> {
    Pool::new(MemoryKind::Heap, free_bytes_max)
}

#[test]
fn appending_goes_on_while_slices_are_held() {
    let chunk = Chunk::new(&pool(0), 10_000);
    assert_eq!(chunk.capacity(), 16384, "the next size");
    assert!((chunk.as_bytes().as_ptr() as usize).is_multiple_of(BLOCK_BYTES));
    let mut slices = Vec::new();
    for round in 0..100u8 {
        let start = chunk.push(&[round; 100]).unwrap();
        slices.push((round, chunk.slice(start..start + 100)));
        chunk.push_with(10, |bytes| bytes.fill(255)).unwrap();
    }
    for (round, slice) in &slices {
        assert!(slice.iter().all(|byte| byte == round), "{round}");
        assert_eq!(slice.slice(10..20)[..], [*round; 10]);
    }
    assert_eq!(chunk.push(&[0; 6000]), Err(ChunkFull));
    assert_eq!(chunk.len(), 11_000, "a refused append changes nothing");
    assert_eq!(chunk.pad_to_block(), 1288);
    assert_eq!(chunk.len(), 12288);
    assert_eq!(chunk.pad_to_block(), 0);
    assert_eq!(chunk.as_bytes()[11_000..], [0; 1288]);
}

#[test]
fn published_bytes_change_only_when_nobody_else_sees_them() {
    let mut chunk = Chunk::new(&pool(0), 100);
    chunk.push(b"head").unwrap();
    chunk.unique().unwrap()[0] = b'H';
    let slice = chunk.slice(0..4);
    assert!(chunk.is_shared());
    assert!(chunk.unique().is_none());
    assert!(!chunk.clear());
    assert_eq!(&slice[..], b"Head");
    drop(slice);
    assert!(chunk.clear());
    assert!(chunk.is_empty());
}

#[test]
fn a_slice_keeps_the_memory_and_its_end_returns_it() {
    let pool = pool(1 << 20);
    let chunk = Chunk::new(&pool, 8192);
    chunk.push(b"kept").unwrap();
    let slice = chunk.slice(0..4);
    drop(chunk);
    assert_eq!((pool.stats().used_bytes, pool.stats().free_bytes), (8192, 0));
    assert_eq!(&slice[..], b"kept");
    drop(slice);
    assert_eq!((pool.stats().used_bytes, pool.stats().free_bytes), (0, 8192));
}

#[test]
fn memory_is_recycled_by_size_up_to_the_bound() {
    let pool = pool(12 << 10);
    let three: Vec<_> = [4096, 8192, 4096].map(|bytes| Chunk::new(&pool, bytes)).into();
    drop(three);
    assert_eq!(pool.stats().free_bytes, 12 << 10, "the third 4 KiB did not fit");
    let again = [8000, 1].map(|bytes| Chunk::new(&pool, bytes));
    let stats = pool.stats();
    assert_eq!((stats.fresh_count, stats.recycled_count, stats.free_bytes), (3, 2, 0));
    drop(again);
    // Beyond the largest size nothing is kept, and no memory is wasted on rounding.
    let large = Chunk::new(&pool, (4 << 20) + 1);
    assert_eq!(large.capacity(), (4 << 20) + 4096);
    drop(large);
    assert_eq!(pool.stats().free_bytes, 12 << 10);
}

#[test]
fn memory_handed_out_to_fill_never_shows_what_the_allocator_left() {
    let chunk = Chunk::new(&pool(0), 4096);
    chunk
        .push_with(4096, |bytes| assert!(bytes.iter().all(|&byte| byte == 0), "never written"))
        .unwrap();
}

#[test]
#[should_panic(expected = "not appended to while it is")]
fn an_append_within_an_append_is_refused() {
    let chunk = Chunk::new(&pool(0), 4096);
    let again = chunk.clone();
    chunk.push_with(10, |_| assert!(again.push(b"x").is_ok())).unwrap();
}

#[test]
fn an_append_that_panics_leaves_the_chunk_as_it_was() {
    let chunk = Chunk::new(&pool(0), 4096);
    chunk.push(b"before").unwrap();
    let filling = std::panic::AssertUnwindSafe(|| chunk.push_with(10, |_| panic!("planted")));
    assert!(std::panic::catch_unwind(filling).is_err());
    assert_eq!(chunk.as_bytes(), b"before");
    chunk.push(b" after").unwrap();
    assert_eq!(chunk.as_bytes(), b"before after");
}

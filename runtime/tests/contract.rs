//! What a world promises, run against the real one and the simulated one.
#![expect(clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking")]

use std::io::{ErrorKind, IoSlice};
use std::net::{Ipv4Addr, Shutdown, SocketAddr};
use std::path::PathBuf;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use bytes::BytesMut;
use runtime::sim::Sim;
use runtime::sync::{Queue, oneshot};
use runtime::{
    BLOCK_BYTES, ListenOptions, MeshBuilder, OpenOptions, ShardContext, ShardId, ShardsConfig,
    TaskClass, World, block_on, run_shards,
};

const WRITE: OpenOptions = OpenOptions { create: true, write: true, synchronous: false };
const SYNC: OpenOptions = OpenOptions { create: true, write: true, synchronous: true };

/// A directory on a real disk, removed when dropped.
fn directory() -> tempfile::TempDir {
    tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).unwrap()
}

fn any_port() -> SocketAddr {
    (Ipv4Addr::LOCALHOST, 0).into()
}

/// Runs the story in the real world, and in simulated ones.
fn check<F: Future<Output = ()>>(story: impl Fn(World, PathBuf) -> F) {
    let directory = directory();
    block_on(|world| story(world, directory.path().to_owned())).unwrap();
    for seed in 0..8 {
        let told = |world: World| {
            let story = &story;
            async move {
                let directory = PathBuf::from("/data/dir");
                world.disk().create_dir_all(&directory).await.unwrap();
                story(world, directory).await;
            }
        };
        let trace = || {
            let sim = Sim::new(seed);
            sim.run(told).unwrap_or_else(|stuck| panic!("seed {seed}: {stuck}"));
            sim.trace_hash()
        };
        assert_eq!(trace(), trace(), "seed {seed} decides everything");
    }
}

#[test]
fn what_was_written_is_read_in_any_range() {
    check(|world, directory| async move {
        let disk = world.disk();
        let file = disk.open(directory.join("a"), WRITE).await.unwrap();
        let chunk = world.chunk(5 * BLOCK_BYTES);
        let bytes: Vec<u8> = (0..4 * BLOCK_BYTES).map(|at| (at / 16) as u8).collect();
        chunk.push(&bytes).unwrap();
        file.write_chunk(&chunk, 0..2 * BLOCK_BYTES, 0).await.unwrap();
        file.write_chunk(&chunk, 2 * BLOCK_BYTES..4 * BLOCK_BYTES, 2 * BLOCK_BYTES as u64)
            .await
            .unwrap();
        file.sync().await.unwrap();
        for (from, count) in [(0, 1), (5000, 3000), (4095, 2), (0, 16384), (16000, 1000)] {
            let read = file.read_at(from as u64, count).await.unwrap();
            assert_eq!(read[..], bytes[from..(from + count).min(bytes.len())], "{from} {count}");
            assert_eq!(read.slice(1..read.len())[..], read[1..]);
        }
        assert!(file.read_at(16384, 10).await.unwrap().is_empty());
        assert!(file.read_at(1 << 40, 10).await.unwrap().is_empty());
        assert_eq!(file.len().await.unwrap(), 16384);
        file.truncate(700).await.unwrap();
        // W4: the rest of the block must not be handed out.
        assert_eq!(file.read_at(600, 400).await.unwrap()[..], bytes[600..700]);
        assert_eq!(file.read_at(700, 10).await.unwrap().len(), 0);
        file.close().await.unwrap();
    });
}

#[test]
fn sixteen_synchronous_writes_in_flight_all_land() {
    check(|world, directory| async move {
        let file = Rc::new(world.disk().open(directory.join("j"), SYNC).await.unwrap());
        file.zero(0..1 << 20).await.unwrap();
        let done = Queue::new(64);
        for turn in 0..64u64 {
            let (file, done, chunk) = (file.clone(), done.clone(), world.chunk(BLOCK_BYTES));
            chunk.push(&[turn as u8 + 1; BLOCK_BYTES]).unwrap();
            world.spawn(TaskClass::Serve, async move {
                file.write_chunk(&chunk, 0..BLOCK_BYTES, turn * 4096).await.unwrap();
                done.push(turn).await.unwrap();
            });
        }
        for _ in 0..64 {
            done.pop().await.unwrap();
        }
        for turn in 0..64u64 {
            let read = file.read_at(turn * 4096, 4096).await.unwrap();
            assert!(read.iter().all(|&byte| byte == turn as u8 + 1));
        }
    });
}

#[test]
fn many_files_are_synced_at_once_and_a_failure_is_told() {
    check(|world, directory| async move {
        let disk = world.disk();
        let mut files = Vec::new();
        for number in 0..100 {
            let file = disk.open(directory.join(number.to_string()), WRITE).await.unwrap();
            let chunk = world.chunk(BLOCK_BYTES);
            chunk.push(&[number; BLOCK_BYTES]).unwrap();
            file.write_chunk(&chunk, 0..BLOCK_BYTES, 0).await.unwrap();
            files.push(Rc::new(file));
        }
        disk.sync_all(&files, vec![directory.clone()]).await.unwrap();
        disk.sync_all(&[], Vec::new()).await.unwrap();
        let missing = vec![directory.clone(), directory.join("missing")];
        let error = disk.sync_all(&files, missing).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::NotFound);
    });
}

#[test]
fn names_are_listed_renamed_replaced_and_removed() {
    check(|world, directory| async move {
        let disk = world.disk();
        let inner = directory.join("x/y");
        disk.create_dir_all(&inner).await.unwrap();
        disk.replace(inner.join("b"), b"one".to_vec()).await.unwrap();
        disk.replace(inner.join("b"), b"two".to_vec()).await.unwrap();
        disk.replace(inner.join("a"), vec![]).await.unwrap();
        assert_eq!(disk.list(&inner).await.unwrap(), ["a", "b"]);
        assert_eq!(disk.read_to_end(inner.join("b"), 3).await.unwrap(), b"two");
        let long = disk.read_to_end(inner.join("b"), 2).await.unwrap_err();
        assert_eq!(long.kind(), ErrorKind::InvalidData);
        disk.rename(inner.join("b"), inner.join("c")).await.unwrap();
        assert!(!disk.exists(inner.join("b")).await.unwrap());
        disk.remove_file(inner.join("c")).await.unwrap();
        disk.sync_dir(&inner).await.unwrap();
        disk.remove_dir_all(directory.join("x")).await.unwrap();
        assert!(disk.list(&directory).await.unwrap().is_empty());
        let missing = disk.open(directory.join("no"), OpenOptions::default()).await;
        assert_eq!(missing.err().unwrap().kind(), ErrorKind::NotFound);
        assert!(disk.free_bytes(&directory).await.unwrap() > 0);
    });
}

#[test]
fn eight_megabytes_in_three_slices_reach_a_slow_reader_byte_for_byte() {
    check(|world, _| async move {
        let listener = world.listen(any_port(), ListenOptions::default()).await.unwrap();
        let addr = listener.local_addr();
        let (sent, all_sent) = oneshot();
        let connecting = world.clone();
        let bytes: Rc<Vec<u8>> = Rc::new((0..8 << 20).map(|at| (at % 251) as u8).collect());
        let source = bytes.clone();
        world.spawn(TaskClass::Serve, async move {
            let (_receiver, mut sender) = connecting.connect(addr).await.unwrap().split();
            let (head, rest) = source.split_at(13);
            let (middle, tail) = rest.split_at(5 << 20);
            let mut slices = [IoSlice::new(head), IoSlice::new(middle), IoSlice::new(tail)];
            sender.send(&mut slices).await.unwrap();
            sent.send(()).unwrap();
        });
        let (mut receiver, _sender) = listener.accept().await.unwrap().split();
        let mut got = BytesMut::with_capacity(8 << 20);
        loop {
            got.reserve(64 << 10);
            let count = receiver.read_buf(&mut got).await.unwrap();
            if count == 0 {
                break;
            }
            world.sleep(Duration::from_micros(50)).await;
        }
        all_sent.await.unwrap();
        assert!(got[..] == bytes[..], "{} of {} bytes", got.len(), bytes.len());
    });
}

#[test]
fn a_closed_listener_ends_its_accept_and_frees_the_port() {
    check(|world, _| async move {
        let listener = Rc::new(world.listen(any_port(), ListenOptions::default()).await.unwrap());
        let addr = listener.local_addr();
        let (ended, end) = oneshot();
        let waiting = listener.clone();
        world.spawn(TaskClass::Serve, async move {
            ended.send(waiting.accept().await.err().map(|error| error.kind())).unwrap();
        });
        // Whoever gives up waiting leaks nothing and may wait again (W6).
        assert!(world.timeout(Duration::from_millis(5), listener.accept()).await.is_err());
        let taken = world.listen(addr, ListenOptions::default()).await;
        assert_eq!(taken.err().unwrap().kind(), ErrorKind::AddrInUse, "a second start is loud");
        listener.close();
        assert_eq!(end.await.unwrap(), Some(ErrorKind::ConnectionAborted));
        world.sleep(Duration::from_millis(20)).await;
        world.listen(addr, ListenOptions::default()).await.unwrap();
    });
}

/// Runs one future per shard in the real world, and in simulated ones.
fn check_shards<F: Future<Output = ()> + 'static>(
    shards: usize,
    start: impl Fn() -> Arc<dyn Fn(ShardContext) -> F + Send + Sync>,
) {
    let real = start();
    let config = ShardsConfig { shards, signals: false, ..ShardsConfig::default() };
    run_shards(&config, move |context| real(context)).unwrap();
    for seed in 0..5 {
        let simulated = start();
        let ended = Sim::new(seed).run_shards(shards, |context| simulated(context));
        assert!(ended.is_ok(), "seed {seed}: {ended:?}");
    }
}

#[test]
fn a_mesh_full_both_ways_delivers_everything_in_order() {
    // W9: both send far more than the rings hold before either receives.
    const COUNT: u32 = 20_000;
    check_shards(3, || {
        let builder = MeshBuilder::<u32>::new(3, 1 << 20);
        Arc::new(move |context: ShardContext| {
            let builder = builder.clone();
            async move {
                let mesh = builder.join(&context.world).await;
                for message in 0..COUNT {
                    for to in ShardId::all(3) {
                        mesh.send(to, message).unwrap();
                    }
                }
                let mut next = [0; 3];
                let mut batch = Vec::new();
                // Everything, and then one more from each: a ring ends with either of its shards,
                // so they leave together.
                for all in [COUNT, COUNT + 1] {
                    while next.iter().any(|&next| next < all) {
                        mesh.recv(&mut batch).await;
                        assert!(!batch.is_empty());
                        for (from, message) in batch.drain(..) {
                            assert_eq!(message, next[from.index()], "from {from}");
                            next[from.index()] += 1;
                        }
                    }
                    for to in ShardId::all(3).filter(|_| all == COUNT) {
                        mesh.send(to, COUNT).unwrap();
                    }
                    mesh.flushed().await;
                }
            }
        })
    });
}

#[test]
fn a_mesh_is_bounded() {
    check_shards(2, || {
        let builder = MeshBuilder::<u8>::new(2, 10);
        Arc::new(move |context: ShardContext| {
            let builder = builder.clone();
            async move {
                let mesh = builder.join(&context.world).await;
                let mut batch = Vec::new();
                if context.shard == ShardId(0) {
                    let sent = (0..100_000).take_while(|_| mesh.send(ShardId(1), 1).is_ok());
                    let sent = sent.count();
                    assert!((1034..100_000).contains(&sent), "{sent}");
                    mesh.recv(&mut batch).await;
                } else {
                    mesh.recv(&mut batch).await;
                    mesh.send(ShardId(0), 2).unwrap();
                }
            }
        })
    });
}

#[test]
fn a_stop_reaches_every_shard() {
    check_shards(2, || {
        Arc::new(|context: ShardContext| async move {
            assert!(!context.world.is_stopping());
            if context.shard == ShardId(1) {
                context.world.sleep(Duration::from_millis(1)).await;
                context.stop.stop();
            }
            context.world.stopping().await;
            assert!(context.world.is_stopping());
        })
    });
}

#[test]
fn a_shut_down_connection_ends_the_other_side() {
    check(|world, _| async move {
        let listener = world.listen(any_port(), ListenOptions::default()).await.unwrap();
        let stream = world.connect(listener.local_addr()).await.unwrap();
        let accepted = listener.accept().await.unwrap();
        assert_eq!(accepted.peer_addr(), stream.local_addr().unwrap());
        let (mut receiver, mut sender) = accepted.split();
        sender.send_all(b"last words").await.unwrap();
        stream.shutdown(Shutdown::Write);
        let mut buffer = [0; 64];
        assert_eq!(receiver.read(&mut buffer).await.unwrap(), 0);
        let (mut far, _) = stream.split();
        assert_eq!(far.read(&mut buffer).await.unwrap(), 10);
        drop((receiver, sender));
        assert_eq!(far.read(&mut buffer).await.unwrap(), 0);
    });
}

#[test]
fn time_passes_and_timeouts_end_waits() {
    check(|world, _| async move {
        let before = world.now();
        world.sleep(Duration::from_millis(20)).await;
        let slept = world.now() - before;
        assert!(slept >= Duration::from_millis(20), "{slept:?}");
        let never = std::future::pending::<()>();
        assert!(world.timeout(Duration::from_millis(5), never).await.is_err());
        assert_eq!(world.timeout(Duration::from_secs(60), async { 7 }).await, Ok(7));
        assert!(world.wall_ms() > 1_600_000_000_000);
    });
}

#[test]
fn blocking_work_returns_its_value_or_its_panic() {
    check(|world, _| async move {
        assert_eq!(world.blocking(|| 6 * 7).await, Ok(42));
        let panic = world.blocking(|| panic!("planted")).await.unwrap_err();
        assert_eq!(panic.0, "planted");
        // W7: the pool is alive.
        assert_eq!(world.blocking(|| 1).await, Ok(1));
    });
}

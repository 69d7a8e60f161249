//! What the simulation does to those who live in it.

use std::cell::RefCell;
use std::io::ErrorKind;
use std::rc::Rc;
use std::time::Duration;

use super::*;
use crate::net::ListenOptions;
use crate::{BLOCK_BYTES, File, OpenOptions, TaskClass};

const WRITE: OpenOptions = OpenOptions { create: true, write: true, synchronous: false };
const SYNC: OpenOptions = OpenOptions { create: true, write: true, synchronous: true };
const BLOCK: u64 = BLOCK_BYTES as u64;

fn node_addr(port: u16) -> std::net::SocketAddr {
    ([127, 0, 0, 1], port).into()
}

/// Five tasks that sleep for times the world draws, for an hour.
fn hour(seed: u64) -> (u64, Vec<(u64, usize)>) {
    let sim = Sim::new(seed);
    let log = Rc::new(RefCell::new(Vec::new()));
    sim.run(|world| {
        for id in 0..5 {
            let (napper, log) = (world.clone(), log.clone());
            world.spawn(TaskClass::Serve, async move {
                loop {
                    let millis = 10 + napper.random() % 50;
                    napper.sleep(Duration::from_millis(millis)).await;
                    log.borrow_mut().push((napper.now().get(), id));
                }
            });
        }
        async move { world.sleep(Duration::from_secs(3600)).await }
    })
    .unwrap();
    let log = log.borrow().clone();
    (sim.trace_hash(), log)
}

#[test]
fn an_hour_passes_at_once_and_the_same_seed_repeats_it() {
    let (hash, log) = hour(7);
    assert!(log.len() > 500_000, "{}", log.len());
    assert_eq!((hash, &log), (hour(7).0, &hour(7).1));
    assert_ne!(log, hour(8).1, "the seed matters");
}

#[test]
fn tasks_that_wake_each_other_for_ever_are_reported() {
    let stuck = Sim::new(1).run(|_| {
        poll_fn::<(), _>(|context| {
            context.waker().wake_by_ref();
            Poll::Pending
        })
    });
    assert!(matches!(stuck, Err(Stuck::Livelock(_))), "{stuck:?}");
}

async fn filled(world: &crate::World, file: &File, fill: u8, position: u64) -> std::io::Result<()> {
    let chunk = world.chunk(BLOCK_BYTES);
    chunk.push(&[fill; BLOCK_BYTES]).unwrap();
    file.write_chunk(&chunk, 0..BLOCK_BYTES, position).await
}

/// The block of a crash image, if it has one.
fn block(disk: &SimDisk, index: usize) -> Option<Vec<u8>> {
    let bytes = disk.peek("/f")?;
    bytes.get(index * BLOCK_BYTES..(index + 1) * BLOCK_BYTES).map(<[u8]>::to_vec)
}

#[test]
fn a_power_cut_keeps_what_was_synced_and_tears_what_was_not() {
    let sim = Sim::new(3);
    let disk = sim.disk(NodeId(0));
    sim.run(|world| async move {
        let files = world.disk();
        let file = files.open("/f", WRITE).await.unwrap();
        files.sync_dir("/").await.unwrap();
        filled(&world, &file, 1, 0).await.unwrap();
        filled(&world, &file, 2, BLOCK).await.unwrap();
        file.sync().await.unwrap();
        filled(&world, &file, 3, BLOCK).await.unwrap();
        filled(&world, &file, 4, BLOCK).await.unwrap();
        filled(&world, &file, 5, 2 * BLOCK).await.unwrap();
    })
    .unwrap();
    let plan = CrashPlan { survive: 0.5, garbage: 0.0 };
    let mut seen = Seen::default();
    for seed in 0..400 {
        let after = disk.crash_with(&plan, seed);
        assert_eq!(block(&after, 0).unwrap(), [1; BLOCK_BYTES], "synced");
        let sectors = block(&after, 1).unwrap();
        for sector in sectors.chunks(512) {
            assert!(sector.iter().all(|&byte| byte == sector[0]) && (2..=4).contains(&sector[0]));
            seen.versions[usize::from(sector[0])] = true;
        }
        seen.torn |= sectors.iter().any(|&byte| byte != sectors[0]);
        match block(&after, 2) {
            None => seen.short = true,
            Some(bytes) if bytes == [0; BLOCK_BYTES] => seen.zeros = true,
            Some(bytes) if bytes == [5; BLOCK_BYTES] => seen.whole = true,
            Some(_) => {}
        }
    }
    let all = Seen {
        versions: [false, false, true, true, true],
        torn: true,
        short: true,
        zeros: true,
        whole: true,
    };
    assert_eq!(seen, all);
    let garbled = (0..100).any(|seed| {
        let after = disk.crash_with(&CrashPlan { survive: 0.5, garbage: 0.2 }, seed);
        assert_eq!(block(&after, 0).unwrap(), [1; BLOCK_BYTES], "garbage strikes unsynced only");
        block(&after, 1).unwrap().iter().any(|byte| !(2..=4).contains(byte))
    });
    assert!(garbled);
    assert_eq!(disk.crash(9).peek("/f"), disk.crash(9).peek("/f"), "the seed decides");
}

#[derive(Debug, Default, PartialEq)]
struct Seen {
    versions: [bool; 5],
    torn: bool,
    short: bool,
    zeros: bool,
    whole: bool,
}

#[test]
fn a_killed_process_keeps_completed_writes_and_a_later_cut_may_still_take_them() {
    let sim = Sim::new(4);
    let disk = sim.disk(NodeId(0));
    sim.run(|world| async move {
        let file = world.disk().open("/f", WRITE).await.unwrap();
        world.disk().sync_dir("/").await.unwrap();
        filled(&world, &file, 7, 0).await.unwrap();
    })
    .unwrap();
    let killed = disk.kill();
    assert_eq!(block(&killed, 0).unwrap(), [7; BLOCK_BYTES]);
    let lost = (0..50).filter(|&seed| block(&killed.crash(seed), 0) != block(&killed, 0)).count();
    assert!(lost > 5, "{lost} of 50");
}

#[test]
fn synchronous_writes_survive_and_lying_devices_lose_them() {
    for lies in [false, true] {
        let sim = Sim::new(5);
        let disk = sim.disk(NodeId(0));
        disk.set_faults(DiskFaults { sync_lies: lies, ..DiskFaults::default() });
        disk.plant("/f", &vec![0; 8 * BLOCK_BYTES]).unwrap();
        sim.run(|world| async move {
            let file = world.disk().open("/f", SYNC).await.unwrap();
            for index in 0..8 {
                filled(&world, &file, 1, index * BLOCK).await.unwrap();
            }
        })
        .unwrap();
        let whole = vec![1; 8 * BLOCK_BYTES];
        let lost = (0..50).filter(|&seed| disk.crash(seed).peek("/f").unwrap() != whole).count();
        assert_eq!(lost > 0, lies, "{lost} lost");
    }
}

#[test]
fn names_revert_unless_their_directory_was_synced() {
    let sim = Sim::new(6);
    let disk = sim.disk(NodeId(0));
    disk.plant("/d/old", b"old").unwrap();
    sim.run(|world| async move {
        let files = world.disk();
        files.replace("/d/kept", b"kept".to_vec()).await.unwrap();
        files.rename("/d/old", "/d/new").await.unwrap();
        files.replace("/d/kept", b"kept again".to_vec()).await.unwrap();
        files.remove_file("/d/new").await.unwrap();
        files.create_dir_all("/e").await.unwrap();
        drop(files.open("/e/f", WRITE).await.unwrap());
        files.sync_dir("/e").await.unwrap();
    })
    .unwrap();
    let mut seen = [false; 3];
    for seed in 0..100 {
        let after = disk.crash(seed);
        assert_eq!(after.peek("/d/kept").unwrap(), b"kept again");
        assert_eq!(after.peek("/d/old"), None, "the rename was synced with the second replace");
        seen[0] |= after.peek("/d/new").is_some();
        seen[1] |= after.peek("/d/new").is_none();
        seen[2] |= after.peek("/e/f").is_none();
    }
    assert_eq!(seen, [true; 3], "the removal and the directory /e were not synced");
}

#[test]
fn a_failed_sync_loses_its_writes_and_the_next_one_succeeds() {
    let sim = Sim::new(7);
    let disk = sim.disk(NodeId(0));
    disk.plant("/f", &vec![1; BLOCK_BYTES]).unwrap();
    disk.fail_next(DiskOp::Sync, 1, ErrorKind::Other);
    let inner = disk.clone();
    sim.run(|world| async move {
        let file = world.disk().open("/f", WRITE).await.unwrap();
        file.sync().await.unwrap();
        filled(&world, &file, 2, 0).await.unwrap();
        assert!(file.sync().await.is_err());
        file.sync().await.unwrap();
        assert_eq!(file.read_at(0, 1).await.unwrap()[0], 1, "the write is gone");
        drop(inner);
    })
    .unwrap();
    assert!((0..50).all(|seed| disk.crash(seed).peek("/f").unwrap() == [1; BLOCK_BYTES]));
}

#[test]
fn every_fault_strikes_and_only_where_it_is_told_to() {
    type Set = fn(&mut DiskFaults);
    let faults: [(&str, Set); 7] = [
        ("read error", |faults| faults.read_error = 0.3),
        ("read old", |faults| faults.read_old = 0.3),
        ("read flip", |faults| faults.read_flip = 0.3),
        ("write error", |faults| faults.write_error = 0.3),
        ("write short", |faults| faults.write_short = 0.3),
        ("write misdirected", |faults| faults.write_misdirected = 0.3),
        ("sync error", |faults| faults.sync_error = 0.3),
    ];
    for (name, set) in faults {
        for only in ["", "/f", "/g"] {
            let sim = Sim::new(8);
            let disk = sim.disk(NodeId(0));
            disk.plant("/f", &vec![0; 4 * BLOCK_BYTES]).unwrap();
            let mut plan = DiskFaults { only: only.into(), ..DiskFaults::instant() };
            set(&mut plan);
            disk.set_faults(plan);
            let strikes = sim.run(|world| async move {
                let file = world.disk().open("/f", WRITE).await.unwrap();
                let mut strikes = 0;
                for round in 1..=60u8 {
                    let mut right = filled(&world, &file, round, BLOCK).await.is_ok();
                    let read = file.read_at(BLOCK, BLOCK_BYTES).await;
                    right &= read.is_ok_and(|read| read.iter().all(|&byte| byte == round));
                    if round % 10 == 0 {
                        right &= file.sync().await.is_ok();
                    }
                    strikes += u32::from(!right);
                }
                strikes
            });
            assert_eq!(strikes.unwrap() > 0, only != "/g", "{name} on {only}");
        }
    }
}

#[test]
fn a_full_disk_refuses_and_heals() {
    let sim = Sim::new(9);
    let disk = sim.disk(NodeId(0));
    disk.set_faults(DiskFaults { capacity_bytes: Some(4 * BLOCK), ..DiskFaults::instant() });
    sim.run(|world| async move {
        let files = world.disk();
        let file = files.open("/f", WRITE).await.unwrap();
        let full = file.allocate(5 * BLOCK).await.unwrap_err();
        assert_eq!(full.kind(), ErrorKind::StorageFull);
        file.allocate(3 * BLOCK).await.unwrap();
        assert_eq!(files.free_bytes("/").await.unwrap(), BLOCK);
        filled(&world, &file, 1, 2 * BLOCK).await.unwrap();
        let other = files.open("/g", WRITE).await.unwrap();
        filled(&world, &other, 1, 0).await.unwrap();
        let full = filled(&world, &other, 1, BLOCK).await.unwrap_err();
        assert_eq!(full.kind(), ErrorKind::StorageFull);
        filled(&world, &file, 2, 0).await.unwrap();
        drop(file);
        files.remove_file("/f").await.unwrap();
        files.sync_dir("/").await.unwrap();
        filled(&world, &other, 1, BLOCK).await.unwrap();
    })
    .unwrap();
}

#[test]
fn after_the_power_is_cut_nothing_completes() {
    let sim = Sim::new(10);
    let disk = sim.disk(NodeId(0));
    disk.plant("/f", &vec![0; BLOCK_BYTES]).unwrap();
    disk.set_faults(DiskFaults { halt_after_ops: Some(20), ..DiskFaults::default() });
    let cut = disk.clone();
    let written = sim.run(|world| async move {
        let written = Rc::new(RefCell::new(0));
        let (count, writer) = (written.clone(), world.clone());
        world.spawn(TaskClass::Serve, async move {
            let file = writer.disk().open("/f", WRITE).await.unwrap();
            loop {
                filled(&writer, &file, 1, 0).await.unwrap();
                *count.borrow_mut() += 1;
            }
        });
        cut.halted().await;
        written.take()
    });
    assert_eq!(written.unwrap(), 19, "the open was the first of 20");
}

#[test]
fn a_lock_file_ends_with_its_process() {
    let sim = Sim::new(11);
    let disk = sim.disk(NodeId(0));
    sim.run(|world| async move {
        let held = world.disk().lock("/lock").await.unwrap();
        let refused = world.disk().lock("/lock").await;
        assert_eq!(refused.err().unwrap().kind(), ErrorKind::WouldBlock);
        drop(held);
        std::mem::forget(world.disk().lock("/lock").await.unwrap());
    })
    .unwrap();
    sim.set_disk(NodeId(0), disk.kill());
    sim.run(|world| async move { drop(world.disk().lock("/lock").await.unwrap()) }).unwrap();
}

#[test]
fn a_cut_way_holds_back_and_a_reset_breaks() {
    for seed in 0..50 {
        let sim = Sim::new(seed);
        let (one, two) = (NodeId(0), NodeId(1));
        let far = sim.world(two);
        let net = sim.net().clone();
        sim.run(|world| async move {
            let listener = far.listen(node_addr(80), ListenOptions::default()).await.unwrap();
            let stream = world.connect(node_addr(80)).await.unwrap();
            let (mut receiver, mut sender) = listener.accept().await.unwrap().split();
            let (mut back, mut forth) = stream.split();
            net.set_cut(one, two, true);
            forth.send_all(b"held").await.unwrap();
            sender.send_all(b"other way").await.unwrap();
            let mut buffer = [0; 64];
            let second = Duration::from_secs(1);
            assert!(world.timeout(second, receiver.read(&mut buffer)).await.is_err());
            assert!(world.timeout(second, back.read(&mut buffer)).await.unwrap().unwrap() > 0);
            assert!(world.timeout(second, world.connect(node_addr(80))).await.is_err());
            net.set_cut(one, two, false);
            let mut got = 0;
            while got < 4 {
                got += receiver.read(&mut buffer).await.unwrap();
            }
            forth.send_all(b"lost").await.unwrap();
            net.reset(two, one);
            let error = receiver.read(&mut buffer).await.unwrap_err();
            assert_eq!(error.kind(), ErrorKind::ConnectionReset);
            assert!(forth.send_all(b"x").await.is_err());
        })
        .unwrap_or_else(|stuck| panic!("seed {seed}: {stuck}"));
    }
}

#[test]
fn a_killed_node_frees_its_ports_and_breaks_its_connections() {
    let sim = Sim::new(12);
    let dying = NodeId(1);
    let serve = |sim: &Sim| {
        let world = sim.world(dying);
        world.clone().spawn(TaskClass::Serve, async move {
            let listener = world.listen(node_addr(80), ListenOptions::default()).await.unwrap();
            loop {
                let (mut receiver, mut sender) = listener.accept().await.unwrap().split();
                let mut byte = [0];
                while receiver.read(&mut byte).await.is_ok_and(|count| count == 1) {
                    sender.send_all(&byte).await.unwrap();
                }
            }
        });
    };
    serve(&sim);
    let killer = sim.clone();
    sim.run(|world| async move {
        world.sleep(Duration::from_millis(1)).await;
        let (mut receiver, mut sender) = world.connect(node_addr(80)).await.unwrap().split();
        let mut byte = [0];
        sender.send_all(b"a").await.unwrap();
        assert_eq!(receiver.read(&mut byte).await.unwrap(), 1);
        killer.kill(dying);
        assert!(receiver.read(&mut byte).await.is_err());
        let refused = world.connect(node_addr(80)).await;
        assert_eq!(refused.err().unwrap().kind(), ErrorKind::ConnectionRefused);
        serve(&killer);
        world.sleep(Duration::from_millis(1)).await;
        world.connect(node_addr(80)).await.unwrap();
    })
    .unwrap();
}

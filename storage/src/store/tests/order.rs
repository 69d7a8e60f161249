//! What must be durable before something else is done: kills and power cuts just in between.

use runtime::OpenOptions;

use super::*;

#[test]
fn a_deleted_logs_extents_are_not_missed() {
    let segment = Path::new("/data/topics/07070707-0707-0707-0707-070707070707/1");
    scene(
        async |world| {
            let (store, _) = open(&world).await;
            let (small, large) = (create(&store, 0).await, create(&store, 1).await);
            append(&store, &large, 200_000).await;
            append(&store, &large, 200_000).await;
            store.flush().await.unwrap();
            // An extent, a record and the deletion, in groups none of which knows the others durable.
            let ticket = append_soon(&large, 200_000);
            append_soon(&small, 100);
            store.delete(partition(1)).await.unwrap();
            assert!(store.is_durable(ticket));
            assert!(store.stats().direct_bytes > 0, "nothing went the direct way");
            while world.disk().exists(segment).await.unwrap() {
                world.turn().await;
            }
        },
        |_disk| {},
        async |world| {
            let (store, report) = open(&world).await;
            assert_eq!(report.void_groups, 0, "{report:?}");
            assert!(store.log(partition(1)).is_none(), "the log is back");
            assert_eq!(read_all(&store.log(partition(0)).unwrap()).await, (1, vec![]));
        },
    );
}

#[test]
fn what_the_superblock_says_is_durable_before_it_is_believed() {
    const SUPERBLOCK: &str = "/data/shards/0/superblock";
    for seed in 0..16 {
        let sim = Sim::new(seed);
        sim.disk(NodeId(0)).set_faults(DiskFaults::instant());
        sim.run(|world| some_batches(world, 10)).unwrap();
        let old = sim.disk(NodeId(0)).peek(SUPERBLOCK).unwrap();
        let flush = async |world: World| {
            let (store, _) = open(&world).await;
            store.flush().await.unwrap();
        };
        sim.run(flush).unwrap();
        let new = sim.disk(NodeId(0)).peek(SUPERBLOCK).unwrap();
        assert_ne!(old, new);
        // A run that was killed before its write was synced.
        sim.disk(NodeId(0)).plant(SUPERBLOCK, &old).unwrap();
        let write = async |world: World| {
            let options = OpenOptions { create: false, write: true, synchronous: false };
            let file = world.disk().open(SUPERBLOCK, options).await.unwrap();
            let chunk = world.chunk(new.len());
            chunk.push(&new).unwrap();
            file.write_chunk(&chunk, 0..new.len(), 0).await.unwrap();
        };
        sim.run(write).unwrap();
        sim.kill(NodeId(0));
        sim.set_disk(NodeId(0), sim.disk(NodeId(0)).kill());
        sim.run(async |world| drop(open(&world).await)).unwrap();
        let cut = sim.disk(NodeId(0)).crash(seed);
        assert!(cut.peek(SUPERBLOCK).unwrap() == new, "seed {seed}: the superblock went back");
    }
}

//! Measures what the real world costs: echo, chunks, mesh, disk, and crash images of the simulated
//! one. `cargo run --release -p runtime --example measure [DIRECTORY]`.
#![expect(clippy::unwrap_used, clippy::print_stdout, reason = "a tool that prints")]

use std::io::{Read, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpStream};
use std::path::PathBuf;
use std::rc::Rc;
use std::sync::mpsc;
use std::time::{Duration, Instant};

use runtime::sim::{DiskFaults, NodeId, Sim};
use runtime::sync::{Gate, Semaphore};
use runtime::{
    BLOCK_BYTES, ListenOptions, MeshBuilder, OpenOptions, ShardId, ShardsConfig, TaskClass, World,
    block_on, run_shards,
};

const SYNC: OpenOptions = OpenOptions { create: true, write: true, synchronous: true };

fn main() {
    let directory = std::env::args_os().nth(1).map_or_else(|| PathBuf::from("."), PathBuf::from);
    chunks();
    idle();
    echo();
    mesh();
    disk(directory.join("measure.tmp"));
    crash_images();
    virtual_time();
}

/// Prints p50, p99 and the worst.
fn report(what: &str, mut times: Vec<Duration>) {
    times.sort_unstable();
    let at = |share: f64| times[((times.len() - 1) as f64 * share) as usize];
    println!("{what}: p50 {:?} p99 {:?} max {:?}", at(0.5), at(0.99), at(1.0));
}

/// CPU time of this thread: what counts where others compete for the machine.
fn cpu_time() -> Duration {
    let text = std::fs::read_to_string("/proc/thread-self/schedstat").unwrap();
    Duration::from_nanos(text.split(' ').next().unwrap().parse().unwrap())
}

fn each(what: &str, count: u32, begun: Duration) {
    let time = cpu_time() - begun;
    println!("{what}: {:.0} ns each", time.as_nanos() as f64 / f64::from(count));
}

fn chunks() {
    block_on(|world| async move {
        for (name, bytes) in [("4 KiB", 4 << 10), ("64 KiB", 64 << 10), ("1 MiB", 1 << 20)] {
            let count = 1_000_000;
            let begun = cpu_time();
            for _ in 0..count {
                std::hint::black_box(world.chunk(bytes));
            }
            each(&format!("chunk of {name}, taken and returned"), count, begun);
        }
        let bytes = [7u8; 100];
        let count = 10_000_000;
        let mut chunk = world.chunk(1 << 20);
        let begun = cpu_time();
        for _ in 0..count {
            if chunk.push(std::hint::black_box(&bytes)).is_err() {
                assert!(chunk.clear());
            }
        }
        each("100 bytes pushed", count, begun);
        let slice = chunk.slice(0..100);
        let begun = cpu_time();
        for _ in 0..count {
            std::hint::black_box(slice.clone());
        }
        each("slice cloned and dropped", count, begun);
    })
    .unwrap();
}

fn idle() {
    block_on(|world| async move {
        world.sleep(Duration::from_secs(1)).await;
        let (begun, wall) = (cpu_time(), world.now());
        world.sleep(Duration::from_secs(5)).await;
        let (used, of) = (cpu_time() - begun, world.now() - wall);
        println!("an idle shard: {used:?} of {of:?}");
        let begun = cpu_time();
        for _ in 0..100_000 {
            world.turn().await;
        }
        each("a turn of a lone task", 100_000, begun);
    })
    .unwrap();
}

async fn serve(world: World, send_addr: mpsc::Sender<SocketAddr>) {
    let any: SocketAddr = (Ipv4Addr::LOCALHOST, 0).into();
    let listener = world.listen(any, ListenOptions::default()).await.unwrap();
    send_addr.send(listener.local_addr()).unwrap();
    let gate = Gate::new();
    // The clients' connections, and one more that ends it.
    loop {
        let (mut receiver, mut sender) = listener.accept().await.unwrap().split();
        let mut buffer = vec![0; 4096];
        let count = receiver.read(&mut buffer).await.unwrap();
        if buffer[..count] == *b"end" {
            break;
        }
        sender.send_all(&buffer[..count]).await.unwrap();
        let pass = gate.enter().unwrap();
        world.spawn(TaskClass::Serve, async move {
            while let Ok(count @ 1..) = receiver.read(&mut buffer).await {
                sender.send_all(&buffer[..count]).await.unwrap();
            }
            drop(pass);
        });
    }
    gate.close().await;
}

fn echo() {
    let (send_addr, get_addr) = mpsc::channel();
    let server = std::thread::spawn(move || block_on(|world| serve(world, send_addr)).unwrap());
    let addr = get_addr.recv().unwrap();
    let round = |stream: &mut TcpStream| {
        let mut bytes = [0; 64];
        stream.write_all(&bytes).unwrap();
        stream.read_exact(&mut bytes).unwrap();
    };
    let connect = || {
        let stream = TcpStream::connect(addr).unwrap();
        stream.set_nodelay(true).unwrap();
        stream
    };
    let mut stream = connect();
    let mut times = Vec::new();
    for _ in 0..50_000 {
        let begun = Instant::now();
        round(&mut stream);
        times.push(begun.elapsed());
    }
    report("echo of 64 B, one connection", times);
    let mut streams: Vec<_> = (0..64).map(|_| connect()).collect();
    streams.iter_mut().for_each(round);
    let (begun, mut count) = (Instant::now(), 0);
    while begun.elapsed() < Duration::from_secs(2) {
        for stream in &mut streams {
            stream.write_all(&[0; 64]).unwrap();
        }
        for stream in &mut streams {
            stream.read_exact(&mut [0; 64]).unwrap();
            count += 1;
        }
    }
    println!(
        "echo of 64 B, 64 connections: {:.0}/s",
        f64::from(count) / begun.elapsed().as_secs_f64()
    );
    drop((stream, streams));
    connect().write_all(b"end").unwrap();
    server.join().unwrap();
}

fn mesh() {
    let builder = MeshBuilder::<u64>::new(2, 1 << 20);
    let config = ShardsConfig { shards: 2, pin: true, signals: false, ..ShardsConfig::default() };
    run_shards(&config, move |context| {
        let builder = builder.clone();
        async move {
            let mesh = builder.join(&context.world).await;
            let mut batch = Vec::new();
            let rounds = 20_000;
            if context.shard == ShardId(1) {
                let mut left = rounds + 64 * rounds;
                while left > 0 {
                    mesh.recv(&mut batch).await;
                    left -= batch.len();
                    for (from, message) in batch.drain(..) {
                        mesh.send(from, message).unwrap();
                    }
                }
                mesh.flushed().await;
                return;
            }
            let mut times = Vec::new();
            for round in 0..rounds {
                let begun = Instant::now();
                mesh.send(ShardId(1), round as u64).unwrap();
                mesh.recv(&mut batch).await;
                batch.clear();
                times.push(begun.elapsed());
            }
            report("mesh round trip", times);
            let begun = Instant::now();
            let mut sent = 64;
            (0..64).for_each(|message| mesh.send(ShardId(1), message).unwrap());
            let mut back = 0;
            while back < 64 * rounds {
                mesh.recv(&mut batch).await;
                back += batch.len();
                for (_, message) in batch.drain(..) {
                    if sent < 64 * rounds {
                        mesh.send(ShardId(1), message).unwrap();
                        sent += 1;
                    }
                }
            }
            let rate = back as f64 / begun.elapsed().as_secs_f64();
            println!("mesh, 64 in flight: {rate:.0} round trips/s");
        }
    })
    .unwrap();
}

fn disk(path: PathBuf) {
    block_on(|world| async move {
        let file = Rc::new(world.disk().open(&path, SYNC).await.unwrap());
        file.zero(0..64 << 20).await.unwrap();
        for (name, bytes) in [("4 KiB", 4 << 10), ("64 KiB", 64 << 10), ("256 KiB", 256 << 10)] {
            let chunk = world.chunk(bytes);
            chunk.push(&vec![7; bytes]).unwrap();
            let mut times = Vec::new();
            for round in 0..2_000u64 {
                let begun = Instant::now();
                let at = round * bytes as u64 % (64 << 20);
                file.write_chunk(&chunk, 0..bytes, at).await.unwrap();
                times.push(begun.elapsed());
            }
            report(&format!("synchronous write of {name}, pre-written"), times);
            let (limit, gate) = (Semaphore::new(16), Gate::new());
            let count = if bytes > 64 << 10 { 5_000 } else { 20_000u64 };
            let begun = Instant::now();
            for round in 0..count {
                let permit = limit.acquire(1).await;
                let (file, chunk, pass) = (file.clone(), chunk.clone(), gate.enter().unwrap());
                world.spawn(TaskClass::Serve, async move {
                    let at = round * bytes as u64 % (64 << 20);
                    file.write_chunk(&chunk, 0..bytes, at).await.unwrap();
                    drop((permit, pass));
                });
            }
            gate.close().await;
            let rate = count as f64 / begun.elapsed().as_secs_f64();
            let megabytes = rate * bytes as f64 / 1e6;
            println!("  16 in flight: {rate:.0}/s, {megabytes:.0} MB/s");
            let mut times = Vec::new();
            for round in 0..2_000u64 {
                let begun = Instant::now();
                let at = round * bytes as u64 % (64 << 20);
                assert_eq!(file.read_at(at, bytes).await.unwrap().len(), bytes);
                times.push(begun.elapsed());
            }
            report(&format!("read of {name}"), times);
        }
        world.disk().remove_file(&path).await.unwrap();
        println!("loop lag meanwhile: {:?}", world.loop_lag());
    })
    .unwrap();
}

fn crash_images() {
    let sim = Sim::new(1);
    let disk = sim.disk(NodeId(0));
    disk.set_faults(DiskFaults::instant());
    disk.plant("/journal/0", &vec![0; 8 << 20]).unwrap();
    disk.plant("/journal/1", &vec![0; 8 << 20]).unwrap();
    let inner = disk.clone();
    sim.run(|world| async move {
        let options = OpenOptions { create: true, write: true, synchronous: false };
        let file = world.disk().open("/journal/1", options).await.unwrap();
        for index in 0..16 {
            let chunk = world.chunk(2 * BLOCK_BYTES);
            chunk.push(&[index as u8; 2 * BLOCK_BYTES]).unwrap();
            file.write_chunk(&chunk, 0..2 * BLOCK_BYTES, index * 8192).await.unwrap();
        }
        let begun = cpu_time();
        let count = 50_000;
        for seed in 0..count {
            std::hint::black_box(inner.crash(u64::from(seed)));
        }
        each("crash image of 2 x 8 MiB with 16 writes of 8 KiB unsynced", count, begun);
    })
    .unwrap();
    let count = 20_000;
    let begun = cpu_time();
    for seed in 0..count {
        let sim = Sim::new(u64::from(seed));
        sim.set_disk(NodeId(0), disk.crash(u64::from(seed)));
        sim.disk(NodeId(0)).set_faults(DiskFaults::instant());
        let read = sim.run(|world| async move {
            let file = world.disk().open("/journal/1", OpenOptions::default()).await.unwrap();
            file.read_at(0, 128 << 10).await.unwrap().len()
        });
        assert_eq!(read, Ok(128 << 10));
    }
    each("the same, and a simulation that reads 128 KiB of it", count, begun);
}

fn virtual_time() {
    let sim = Sim::new(1);
    let begun = Instant::now();
    sim.run(|world| async move {
        for _ in 0..5 {
            let napper = world.clone();
            world.spawn(TaskClass::Serve, async move {
                loop {
                    let millis = 10 + napper.random() % 50;
                    napper.sleep(Duration::from_millis(millis)).await;
                }
            });
        }
        world.sleep(Duration::from_secs(3600)).await;
    })
    .unwrap();
    println!("an hour of five napping tasks, simulated: {:?}", begun.elapsed());
}

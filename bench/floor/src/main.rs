//! The floor: the least a machine can do for a produce request.
//!
//! One pinned thread around a bare io_uring receives, splits frames, checks each batch's CRC-32C,
//! copies it into registered aligned buffers, writes those with direct I/O, and answers. With
//! `--durable` an answer waits until a synchronous write holds its batch; whatever arrives during
//! one write goes out with the next. There are no logs, no offsets that mean anything, no order
//! between partitions, no recovery, no fetch: a broker that costs one and a half times this has
//! little left to remove.
//!
//! It speaks as much Kafka as a producer needs (ApiVersions, Metadata, CreateTopics, Produce 3 to
//! 8), so that the very load that drives a broker drives the floor. Every topic exists.
#![expect(clippy::print_stdout, clippy::print_stderr, reason = "this is a command line tool")]

mod disk;
mod kafka;
mod peer;
mod ring;
mod server;

use std::net::{SocketAddr, TcpListener};
use std::path::PathBuf;
use std::process::ExitCode;

use clap::Parser;

/// The least a machine can do for a produce request.
#[derive(Debug, Parser)]
struct Arguments {
    /// Where producers connect.
    #[arg(long, default_value = "127.0.0.1:0")]
    listen: SocketAddr,
    /// The file that is written round and round; on a real disk.
    #[arg(long)]
    file: PathBuf,
    /// Answer only when a synchronous write holds the batch.
    #[arg(long)]
    durable: bool,
    /// Partitions of every topic.
    #[arg(long, default_value_t = 6, value_parser = clap::value_parser!(i32).range(1..=100_000))]
    partitions: i32,
    /// The CPU to run on.
    #[arg(long)]
    cpu: Option<usize>,
}

/// Why the floor gave way.
#[derive(Debug, thiserror::Error)]
enum FloorError {
    #[error("{what}: {error}")]
    Machine { what: &'static str, error: std::io::Error },
}

impl FloorError {
    fn at(what: &'static str) -> impl FnOnce(std::io::Error) -> Self {
        move |error| Self::Machine { what, error }
    }
}

fn main() -> ExitCode {
    match run(&Arguments::parse()) {
        Ok(never) => match never {},
        Err(error) => {
            eprintln!("floor: {error}");
            ExitCode::FAILURE
        }
    }
}

fn run(arguments: &Arguments) -> Result<std::convert::Infallible, FloorError> {
    if let Some(cpu) = arguments.cpu {
        ring::pin(cpu).map_err(FloorError::at("pinning"))?;
    }
    let disk = disk::Disk::open(&arguments.file, arguments.durable)
        .map_err(FloorError::at("the file for direct I/O"))?;
    let listener = TcpListener::bind(arguments.listen).map_err(FloorError::at("listening"))?;
    let addr = listener.local_addr().map_err(FloorError::at("listening"))?;
    let topics = kafka::Topics::new(addr, arguments.partitions);
    let mut server = server::Server::new(listener, disk, topics)?;
    println!("ready: {addr}");
    server.run()
}

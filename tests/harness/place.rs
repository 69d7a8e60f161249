//! Where things are: the repository, the tools that `ci/tools` installed, free ports, scratch space.

use std::io;
use std::net::{Ipv4Addr, TcpListener};
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::seeded::Seeded;

/// Below the range that the kernel hands to outgoing connections: a client that keeps trying a dead
/// port inside that range can end up connected to itself.
const PORTS: std::ops::Range<u16> = 12_000..30_000;

/// The root of the repository.
pub fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().map_or_else(PathBuf::new, Path::to_path_buf)
}

/// The build directory.
pub fn target() -> PathBuf {
    std::env::var_os("CARGO_TARGET_DIR").map_or_else(|| root().join("target"), PathBuf::from)
}

/// What `ci/tools` installed.
pub fn tools() -> PathBuf {
    target().join("tools")
}

/// Where the tests' own clients are kept in source.
pub fn clients() -> PathBuf {
    root().join("tests/clients")
}

/// The file of a program on the search path.
pub fn program(name: &str) -> Option<PathBuf> {
    let path = std::env::var_os("PATH")?;
    std::env::split_paths(&path).map(|place| place.join(name)).find(|file| file.is_file())
}

/// A port on loopback that nobody listens on now and that no outgoing connection is given.
///
/// # Errors
/// When no port of the range can be bound.
pub fn free_port(seeded: &mut Seeded) -> io::Result<u16> {
    let span = u64::from(PORTS.end - PORTS.start);
    for _ in 0..1_000 {
        let port = PORTS.start + u16::try_from(seeded.below(span)).unwrap_or(0);
        if TcpListener::bind((Ipv4Addr::LOCALHOST, port)).is_ok() {
            return Ok(port);
        }
    }
    Err(io::Error::other("no free port between 12000 and 30000"))
}

/// The broker's program: `CORELOG_BIN`, or what cargo builds here in the profile of this program.
///
/// # Errors
/// When cargo cannot build it.
pub fn corelog() -> io::Result<PathBuf> {
    if let Some(file) = std::env::var_os("CORELOG_BIN") {
        return Ok(PathBuf::from(file));
    }
    let release = !cfg!(debug_assertions);
    let mut build = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    build.current_dir(root()).args(["build", "--quiet", "--package", "cli", "--bin", "corelog"]);
    if release {
        build.arg("--release");
    }
    let file = target().join(if release { "release" } else { "debug" }).join("corelog");
    built(&mut build).map(|()| file)
}

/// Runs cargo; what it says is told only when it fails.
fn built(build: &mut Command) -> io::Result<()> {
    let output = build.output()?;
    if output.status.success() {
        return Ok(());
    }
    let text = String::from_utf8_lossy(&output.stderr).into_owned();
    Err(io::Error::other(format!("cargo cannot build the broker:\n{text}")))
}

/// A fresh directory under `target/scratch`: on a real disk, whatever `/tmp` is.
///
/// # Errors
/// When it cannot be made.
pub fn scratch(name: &str) -> io::Result<PathBuf> {
    let directory = target().join("scratch").join(format!("{name}-{}", std::process::id()));
    if directory.exists() {
        std::fs::remove_dir_all(&directory)?;
    }
    std::fs::create_dir_all(&directory)?;
    Ok(directory)
}

/// The broker with seeded bugs compiled in; `CORELOG_MUTATION` chooses one.
///
/// # Errors
/// When cargo cannot build it.
pub fn corelog_with_mutations() -> io::Result<PathBuf> {
    // A directory of its own: the broker without them must not be replaced.
    let place = target().join("mutation");
    let mut build = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    build.current_dir(root()).args(["build", "--quiet", "--package", "cli", "--bin", "corelog"]);
    build.args(["--features", "storage/mutation", "--target-dir"]).arg(&place);
    built(&mut build).map(|()| place.join("debug/corelog"))
}

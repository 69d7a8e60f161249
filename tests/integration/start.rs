//! Days on which a broker must not start: one clear line, and an exit code that is not zero.

use std::fs;
use std::io;
use std::net::{Ipv4Addr, TcpListener};
use std::path::Path;
use std::process::{Command, Output, Stdio};
use std::time::Duration;

use tests::broker::Broker;
use tests::place;

use crate::fixture::{Fixture, is_foreign};

/// Longest time until a refusal.
const REFUSED_WITHIN_S: &str = "20";

/// Longest time until a broker serves an empty directory. The promise is a second; machines that
/// build at the same time are given more.
const READY_WITHIN: Duration = Duration::from_secs(5);

/// Runs a broker that must not serve, with something before its command line.
fn refusal(fixture: &Fixture, before: &[&str]) -> Output {
    let broker = fixture.plan.command().expect("a command line");
    let mut words = before.iter().map(|word| (*word).into()).collect::<Vec<std::ffi::OsString>>();
    words.push(broker.get_program().to_owned());
    words.extend(broker.get_args().map(ToOwned::to_owned));
    let mut command = Command::new("timeout");
    command.args(["--signal=KILL", REFUSED_WITHIN_S]).args(words).stdin(Stdio::null());
    command.output().expect("timeout is part of every system")
}

/// The refusal must say why in one line that names what is wrong.
fn judge(output: &Output, hints: &[&str]) {
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    let code = output.status.code();
    assert!(code.is_some_and(|code| code != 0 && code != 137), "it ended with {code:?}:\n{said}");
    assert!(!said.contains("panicked"), "it panicked:\n{said}");
    assert!(!String::from_utf8_lossy(&output.stdout).contains("ready"), "it said that it serves");
    let clear = said.lines().any(|line| {
        let line = line.to_lowercase();
        hints.iter().any(|hint| line.contains(&hint.to_lowercase()))
    });
    assert!(clear, "no line says any of {hints:?}:\n{said}");
    assert!(said.lines().count() <= 12, "more than a clear line:\n{said}");
}

#[test]
fn an_empty_directory_is_served_at_once() {
    if is_foreign() {
        return;
    }
    let mut fixture = Fixture::start("start-empty");
    let after = fixture.broker().ready_after;
    assert!(after < READY_WITHIN, "ready after {after:?}");
    fixture.finish();
}

#[test]
fn a_port_that_is_taken() {
    if is_foreign() {
        return;
    }
    for which in 0..3 {
        let mut fixture = Fixture::prepare(&format!("start-port-{which}"), "");
        let port = [fixture.plan.kafka, fixture.plan.native, fixture.plan.admin][which];
        let taken = TcpListener::bind((Ipv4Addr::LOCALHOST, port)).unwrap();
        let holder = format!("process {} ", std::process::id());
        judge(&refusal(&fixture, &[]), &[&port.to_string(), &holder]);
        drop(taken);
        // Nothing is left behind that would keep it from starting afterwards.
        fixture.launch();
        fixture.finish();
    }
}

#[test]
fn a_directory_that_another_broker_holds() {
    if is_foreign() {
        return;
    }
    let mut fixture = Fixture::start("start-locked");
    let mut second = Fixture::prepare("start-locked-second", "");
    second.plan.dir = fixture.plan.dir.clone();
    judge(&refusal(&second, &[]), &["lock", "in use", "another"]);
    second.leave();
    // The one that holds it is not disturbed, and a killed one holds nothing.
    fixture.connect().ping().unwrap();
    fixture.kill();
    fixture.launch();
    fixture.finish();
}

#[test]
fn a_directory_whose_manifest_is_of_another_cluster() {
    if is_foreign() {
        return;
    }
    let mut mine = Fixture::start("start-mine");
    mine.topic("kept", &[]);
    let other = Fixture::start("start-other");
    mine.kill();
    let manifests = |dir: &Path| -> Vec<_> {
        let files = fs::read_dir(dir).unwrap().map(|entry| entry.unwrap().path());
        files
            .filter(|file| {
                file.file_name().is_some_and(|name| name.to_string_lossy().contains("manifest"))
            })
            .collect()
    };
    let (ours, theirs) = (manifests(&mine.plan.dir), manifests(&other.plan.dir));
    assert!(!ours.is_empty() && ours.len() == theirs.len(), "manifests: {ours:?}, {theirs:?}");
    let originals: Vec<Vec<u8>> = ours.iter().map(|file| fs::read(file).unwrap()).collect();
    for (ours, theirs) in ours.iter().zip(&theirs) {
        fs::copy(theirs, ours).unwrap();
    }
    judge(&refusal(&mine, &[]), &["cluster", "manifest", "directory"]);
    // Nothing was harmed: with its own manifest it serves again.
    for (file, bytes) in ours.iter().zip(&originals) {
        fs::write(file, bytes).unwrap();
    }
    mine.launch();
    assert_eq!(mine.connect().create_topic("kept", 1, &[]).unwrap(), 36, "the topic is gone");
    other.finish();
    mine.finish();
}

#[test]
fn a_kernel_without_io_uring() {
    if is_foreign() {
        return;
    }
    let mut fixture = Fixture::prepare("start-uring", "");
    let script = place::root().join("tests/integration/without_io_uring.py");
    if place::program("python3").is_none() {
        assert_ne!(std::env::var("CI").as_deref(), Ok("true"), "no python3");
        return;
    }
    judge(&refusal(&fixture, &["python3", &script.to_string_lossy()]), &["io_uring"]);
    fixture.leave();
}

#[test]
fn a_limit_of_locked_memory_that_is_too_low() {
    if is_foreign() {
        return;
    }
    let mut fixture = Fixture::prepare("start-memlock", "");
    let before = ["prlimit", "--memlock=4096:4096", "setpriv", "--bounding-set=-ipc_lock"];
    let root = Command::new("id").arg("-u").output().unwrap().stdout == b"0\n";
    let before = if root { &before[..] } else { &before[..2] };
    judge(&refusal(&fixture, before), &["memlock", "locked", "lockable", "ulimit"]);
    fixture.leave();
}

#[test]
fn a_file_system_in_memory_is_refused_or_warned_about() -> io::Result<()> {
    if is_foreign() || !Path::new("/dev/shm").is_dir() {
        return Ok(());
    }
    let mut fixture = Fixture::prepare("start-tmpfs", "");
    let dir = Path::new("/dev/shm").join(format!("corelog-{}", std::process::id()));
    fixture.plan.dir = dir.clone();
    // `dev` may serve from memory for a quick try, but not silently.
    match Broker::start(&fixture.plan) {
        Ok(broker) => {
            assert!(broker.stop()?.success());
            assert!(
                fixture.log().to_lowercase().contains("tmpfs"),
                "no warning:\n{}",
                fixture.log()
            );
        }
        Err(error) => {
            assert!(error.to_string().to_lowercase().contains("tmpfs"), "{error}");
        }
    }
    fs::remove_dir_all(&dir)?;
    fixture.leave();
    Ok(())
}

#[test]
fn settings_that_nobody_knows_or_that_cannot_be() {
    if is_foreign() {
        return;
    }
    let rows = [
        ("unknown", "retentoin = 5\n", "retentoin"),
        ("unknown-limit", "[limits]\nconections-max = 5\n", "conections-max"),
        ("no-toml", "this is = = no toml\n", "line 1"),
        ("no-size", "memory = \"much\"\n", "much"),
        ("no-address", "kafka = \"nowhere\"\n", "nowhere"),
    ];
    for (name, config, hint) in rows {
        let mut fixture = Fixture::prepare(&format!("start-{name}"), config);
        // Flags would win over the file.
        let flag = fixture.plan.arguments.iter().position(|word| word == "--memory");
        let flag = flag.expect("the fixture sets the memory");
        fixture.plan.arguments.drain(flag..flag + 2);
        let config_at = fixture.plan.arguments.iter().position(|word| word == "--config").unwrap();
        let file = fixture.plan.arguments[config_at + 1].clone();
        let output = Command::new(fixture.plan.command().unwrap().get_program())
            .args(["dev", "--config", &file])
            .stdin(Stdio::null())
            .output()
            .unwrap();
        judge(&output, &[hint]);
        fixture.leave();
    }
}

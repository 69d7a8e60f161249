//! The binary as a user has it: a broker, records in and out by both protocols, and a check of what is on disk.

#![expect(clippy::panic, reason = "helpers may fail as tests do")]

use std::fs;
use std::io::{BufRead, BufReader, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdout, Command, Output, Stdio};

/// A running `corelog dev`; killed when dropped.
struct Dev {
    child: Child,
    /// Kept open: a broker that cannot write its `ready` line says so in its log.
    _out: BufReader<ChildStdout>,
    kafka: String,
    native: String,
}

impl Drop for Dev {
    fn drop(&mut self) {
        // It may have been stopped already.
        drop(self.child.kill());
        drop(self.child.wait());
    }
}

fn corelog() -> Command {
    Command::new(env!("CARGO_BIN_EXE_corelog"))
}

impl Dev {
    fn start(dir: &Path) -> Self {
        let any = "127.0.0.1:0";
        let mut child = corelog()
            .args([
                "dev", "--shards", "1", "--kafka", any, "--native", any, "--admin", any, "--dir",
            ])
            .arg(dir)
            .env("CORELOG_LOG", "warn")
            .stdout(Stdio::piped())
            .spawn()
            .expect("the binary was built");
        let mut out = BufReader::new(child.stdout.take().expect("it is piped"));
        let mut ready = String::new();
        out.read_line(&mut ready).expect("it is text");
        let after = |word: &str| {
            let rest = ready.split_once(word).unwrap_or_else(|| panic!("{word:?} in {ready:?}")).1;
            rest.split(',').next().unwrap_or_default().trim().to_owned()
        };
        assert!(ready.starts_with("ready"), "{ready:?}");
        let (kafka, native) = (after("kafka "), after("native "));
        Self { child, _out: out, kafka, native }
    }

    /// Runs a command against the broker; its standard output must be `Ok`.
    fn run(&self, native: bool, arguments: &[&str], input: &str) -> String {
        let mut command = corelog();
        command.args(arguments);
        if native {
            command.args(["--protocol", "native", "--bootstrap", &self.native]);
        } else {
            command.args(["--bootstrap", &self.kafka]);
        }
        let output = with_input(&mut command, input);
        let errors = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{arguments:?}: {errors}");
        String::from_utf8(output.stdout).expect("the records are text")
    }

    fn stop(mut self) {
        let pid = self.child.id().to_string();
        assert!(Command::new("kill").arg(&pid).status().expect("kill exists").success());
        assert!(self.child.wait().expect("it ends").success(), "a stop is no failure");
    }
}

fn with_input(command: &mut Command, input: &str) -> Output {
    let piped = command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = piped.spawn().expect("the binary was built");
    let mut stdin = child.stdin.take().expect("it is piped");
    // A command that reads nothing may be gone already.
    drop(stdin.write_all(input.as_bytes()));
    drop(stdin);
    child.wait_with_output().expect("it ends")
}

fn verify(dir: &Path) -> (i32, String) {
    let output = corelog().args(["log", "verify"]).arg(dir).output().expect("it runs");
    let code = output.status.code().expect("it exits");
    (code, String::from_utf8_lossy(&output.stdout).into_owned())
}

fn files(dir: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in fs::read_dir(dir).expect("it is there").flatten() {
        if entry.path().is_dir() {
            found.extend(files(&entry.path()));
        } else {
            found.push(entry.path());
        }
    }
    found.sort();
    found
}

fn flip(path: &Path, at: usize) {
    let mut bytes = fs::read(path).expect("it is there");
    bytes[at] ^= 0x20;
    fs::write(path, bytes).expect("it can be written");
}

#[test]
fn records_survive_and_every_damage_to_a_real_directory_is_found() {
    let place = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).expect("a place");
    let dir = place.path().join("data");
    let dev = Dev::start(&dir);
    let lines: String = (0..20_000).map(|n| format!("key-{n}\tvalue number {n}\n")).collect();
    for (topic, native) in [("by-kafka", false), ("by-native", true)] {
        let settings = ["--partitions", "3", "--set", "segment.bytes=1048576"];
        dev.run(native, &[&["topic", "create", topic], &settings[..]].concat(), "");
        dev.run(native, &["produce", topic, "-k", "\\t", "-z", "lz4"], &lines);
        for reader in [false, true] {
            let read = dev.run(reader, &["consume", topic, "--exit", "-k", "\\t"], "");
            let (mut read, mut sent): (Vec<&str>, Vec<&str>) =
                (read.lines().collect(), lines.lines().collect());
            read.sort_unstable();
            sent.sort_unstable();
            assert!(read == sent, "{topic}: what was written is read, once, by both protocols");
        }
        // Uncompressed, so that segments are rolled and index pages written.
        for _ in 0..6 {
            dev.run(native, &["produce", topic, "-k", "\\t"], &lines);
        }
        let json = dev.run(native, &["consume", topic, "-p", "0", "-n", "10", "-f", "json"], "");
        dev.run(native, &["produce", topic, "--format", "json"], &json);
        let listed = dev.run(native, &["topic", "describe", topic, "--json"], "");
        assert!(listed.contains("\"segment.bytes\":\"1048576\""), "{listed}");
    }
    let (code, _) = verify(&dir);
    assert_eq!(code, 2, "a directory in use is not looked at");
    dev.stop();
    let (code, said) = verify(&dir);
    assert_eq!(code, 0, "{said}");
    assert!(said.contains("clean"), "{said}");

    let kinds = ["manifest", "superblock", "checkpoint-", "ring-", ".log", ".index"];
    let all = files(&dir);
    for kind in kinds {
        let named = |path: &&PathBuf| {
            path.file_name().is_some_and(|name| name.to_string_lossy().contains(kind))
        };
        let damage = |path: &Path| {
            flip(path, 40);
            let (code, said) = verify(&dir);
            flip(path, 40);
            (code == 1).then_some(said)
        };
        let found = all.iter().filter(named).find_map(|path| {
            let long_enough = fs::metadata(path).is_ok_and(|facts| facts.len() > 40);
            long_enough.then(|| damage(path)).flatten().map(|said| (path, said))
        });
        let exists = all.iter().any(|path| named(&path));
        match found {
            Some((path, said)) => {
                let name = path.file_name().expect("a file").to_string_lossy().into_owned();
                assert!(said.contains(&name), "{name}: {said}");
            }
            // A checkpoint is made when the journal has gone round.
            None => assert!(!exists && kind == "checkpoint-", "damage to {kind} was not found"),
        }
    }
    assert_eq!(verify(&dir).0, 0, "all damage was undone");

    let dev = Dev::start(&dir);
    let count = dev.run(false, &["consume", "by-kafka", "--exit", "-q"], "").lines().count();
    assert_eq!(count, 7 * 20_000 + 10, "nothing was lost by the restart");
    dev.stop();
}

#[test]
fn the_load_generator_reads_every_record_that_it_wrote_by_both_protocols() {
    let place = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).expect("a place");
    let dev = Dev::start(&place.path().join("data"));
    for (topic, native) in [("by-kafka", false), ("by-native", true)] {
        let load = ["--topic", topic, "--partitions", "3", "--json", "-"];
        let run = |more: &[&str]| {
            let line = dev.run(native, &[&["bench"], more, &load[..]].concat(), "");
            serde_json::from_str::<serde_json::Value>(&line).expect("one row of JSON")
        };
        let (svg, log) = (place.path().join("run.svg"), place.path().join("run.hlog"));
        let files =
            ["--svg", svg.to_str().expect("text"), "--hdr-log", log.to_str().expect("text")];
        let paced =
            ["--rate", "600", "--duration", "2s", "--warm-up", "0s", "--compression", "lz4"];
        let shape = ["end-to-end", "--record-bytes", "100", "--keys", "50", "--idempotent"];
        let row =
            run(&[&shape[..], &paced, &files, &["--producers", "2", "--consumers", "2"]].concat());
        for left in ["unsent_records", "unanswered_records", "unread_records"] {
            assert_eq!(row[left], 0, "{row}");
        }
        assert_eq!(row["broker_pid"], dev.child.id(), "{row}");
        assert!(row["p50_us"].as_f64() > row["acknowledged"]["p50_us"].as_f64(), "{row}");
        let picture = fs::read_to_string(&svg).expect("it was drawn");
        assert!(picture.contains("end-to-end"), "{picture}");
        let log = fs::read_to_string(&log).expect("it was written");
        assert!(log.contains("Tag=produce,") && log.contains("Tag=end-to-end,"), "{log}");

        let row = run(&["consume"]);
        assert_eq!(
            row["records"], 1_200,
            "600 a second for two seconds, none lost or doubled: {row}"
        );
        let full = ["produce", "--batch-bytes", "4KiB", "--duration", "1s", "--warm-up", "0s"];
        let row = run(&full);
        assert!(row["records_per_second"].as_f64() > Some(100.0), "{row}");
        assert!(row["broker_written_per_byte"].as_f64() > Some(0.9), "{row}");
    }
    dev.stop();
}

#[test]
fn what_goes_wrong_is_one_line_and_a_code() {
    let place = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).expect("a place");
    let config = place.path().join("wrong.toml");
    fs::write(&config, "botstrap = 'x'\n").expect("it can be written");
    let config = config.to_string_lossy().into_owned();
    let cases: [(&[&str], i32); 9] = [
        (&["bench", "produce", "--bootstrap", "127.0.0.1:1"], 1),
        (&["bench", "produce", "--record-bytes", "200MiB"], 1),
        (&["bench", "end-to-end", "--record-bytes", "8"], 1),
        (&["topic", "list", "--bootstrap", "127.0.0.1:1"], 1),
        (&["topic", "list", "--config", &config], 1),
        (&["dev", "--config", &config], 1),
        (&["log", "verify", "/nowhere"], 2),
        (&["log", "dump", "/nowhere/manifest"], 1),
        (&["consume"], 2),
    ];
    for (arguments, code) in cases {
        let output = with_input(corelog().args(arguments).env_remove("CORELOG_BOOTSTRAP"), "");
        let errors = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(code), "{arguments:?}: {errors}");
        // Usage errors are clap's and name the usage, too.
        if arguments != ["consume"] {
            assert_eq!(errors.lines().count(), 1, "{arguments:?}: {errors}");
            assert!(errors.starts_with("corelog: "), "{errors}");
        }
    }
}

#[test]
fn groups_are_listed_described_reset_and_deleted() {
    let dir = tempfile::tempdir().expect("a directory");
    let dev = Dev::start(dir.path());
    dev.run(false, &["topic", "create", "orders", "--partitions", "2"], "");
    dev.run(false, &["produce", "orders", "--partition", "1"], "one\ntwo\nthree\n");
    assert_eq!(dev.run(false, &["group", "list", "--json"], ""), "");

    let reset = |to: &[&str]| {
        let arguments = [&["group", "reset", "billing", "--topic", "orders"], to].concat();
        dev.run(false, &arguments, "")
    };
    let lag = || {
        let told = dev.run(false, &["group", "describe", "billing", "--json"], "");
        let told: serde_json::Value = serde_json::from_str(&told).expect("JSON");
        (told["state"].as_str().map(str::to_owned), told["lag"].as_i64())
    };
    let empty = Some("Empty".to_owned());
    reset(&["--to", "earliest"]);
    assert_eq!(lag(), (empty.clone(), Some(3)));
    // How old what is unread is, and how long the topic's retention keeps it.
    let told = dev.run(false, &["group", "describe", "billing", "--json"], "");
    let told: serde_json::Value = serde_json::from_str(&told).expect("JSON");
    let unread = &told["partitions"][1];
    assert!((0..60).contains(&unread["lag_seconds"].as_i64().expect("it has records")), "{told}");
    let week_ms = 7 * 24 * 60 * 60 * 1000;
    #[expect(clippy::disallowed_methods, reason = "it is compared with what another process says")]
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
    let now_ms = now.expect("after 1970").as_millis() as i64;
    let left = unread["kept_until_ms"].as_i64().expect("retention.ms is set") - now_ms;
    assert!((week_ms - 60_000..=week_ms).contains(&left), "{told}");
    assert_eq!(told["partitions"][0]["lag_seconds"], 0, "an empty partition is read: {told}");
    assert!(told["partitions"][0]["kept_until_ms"].is_null(), "{told}");
    dev.run(false, &["topic", "alter", "orders", "--set", "retention.ms=-1"], "");
    let told = dev.run(false, &["group", "describe", "billing"], "");
    assert!(told.contains("3 records behind, ") && told.contains("KEPT FOR"), "{told}");
    let told = dev.run(false, &["group", "describe", "billing", "--json"], "");
    assert!(told.contains("\"kept_until_ms\":null"), "{told}");

    reset(&["--to", "-1"]);
    assert_eq!(lag(), (empty.clone(), Some(1)));
    let told = reset(&["--to", "latest", "--dry-run"]);
    assert!(told.contains("would read on at"), "{told}");
    assert_eq!(lag(), (empty.clone(), Some(1)));
    reset(&["--partition", "1", "--to", "2"]);
    reset(&["--partition", "0", "--to", "99"]);
    assert_eq!(lag(), (empty, Some(1)), "an offset beyond the end is the end");

    let listed = dev.run(false, &["group", "list", "--json"], "");
    assert!(listed.contains("\"group\":\"billing\""), "{listed}");
    dev.run(false, &["group", "delete", "billing"], "");
    assert_eq!(dev.run(false, &["group", "list", "--json"], ""), "");

    // What is not there is an error, and so is the protocol that knows no groups.
    for (arguments, words) in [
        (vec!["group", "describe", "billing"], "GROUP_ID_NOT_FOUND"),
        (vec!["group", "delete", "billing"], "GROUP_ID_NOT_FOUND"),
    ] {
        let output = corelog().args(&arguments).args(["-b", &dev.kafka]).output().expect("it runs");
        let errors = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(!output.status.success() && errors.contains(words), "{arguments:?}: {errors}");
    }
    let native = ["group", "list", "--protocol", "native", "-b", &dev.native];
    let output = corelog().args(native).output().expect("it runs");
    let errors = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(errors.contains("use --protocol kafka"), "{errors}");
    dev.stop();
}

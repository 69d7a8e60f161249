//! What concerns a whole process: SIGTERM and SIGINT stop every shard and the process goes on; a
//! shard that cannot start fails the run.
#![expect(clippy::unwrap_used, clippy::print_stdout, reason = "a test fails by panicking")]

use std::process::Command;

use runtime::{ShardsConfig, run_shards};

fn main() {
    signals_stop_every_shard();
    a_shard_that_cannot_start_fails_the_run();
}

fn signals_stop_every_shard() {
    for signal in ["-TERM", "-INT"] {
        let config = ShardsConfig { shards: 2, signals: true, ..ShardsConfig::default() };
        let stopped = run_shards(&config, move |context| async move {
            if context.shard.index() == 0 {
                let pid = std::process::id().to_string();
                let kill = move || Command::new("kill").args([signal, &pid]).status();
                let killed = context.world.blocking(kill).await;
                assert!(killed.unwrap().unwrap().success());
            }
            context.world.stopping().await;
            true
        });
        assert_eq!(stopped.unwrap(), [true, true], "{signal}");
    }
    println!("test signals_stop_every_shard ... ok");
}

fn a_shard_that_cannot_start_fails_the_run() {
    let open = std::fs::read_dir("/proc/self/fd").unwrap().count();
    // Enough files for the first executors, not for all.
    let (pid, limit) = (std::process::id().to_string(), format!("--nofile={}", open + 40));
    let limited = Command::new("prlimit").args(["--pid", &pid, &limit]).status();
    assert!(limited.unwrap().success());
    let config = ShardsConfig { shards: 16, signals: false, ..ShardsConfig::default() };
    let outcome = run_shards(&config, |context| async move { context.world.stopping().await });
    assert!(outcome.is_err());
    println!("test a_shard_that_cannot_start_fails_the_run ... ok");
}

//! SIGTERM and SIGINT stop every shard, and the process goes on.
#![expect(clippy::unwrap_used, clippy::print_stdout, reason = "a test fails by panicking")]

use std::process::Command;

use runtime::{ShardsConfig, run_shards};

fn main() {
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

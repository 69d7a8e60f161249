//! Where the program's own log goes: standard error, as much as `CORELOG_LOG` asks for.

use std::io::IsTerminal;

use tracing_subscriber::EnvFilter;

/// Writes log lines of `level` and above to standard error, unless `CORELOG_LOG` says otherwise (as `RUST_LOG` does
/// elsewhere: `debug`, or `info,broker=trace`).
pub(crate) fn to_stderr(level: &str) {
    let filter =
        EnvFilter::try_from_env("CORELOG_LOG").unwrap_or_else(|_unset| EnvFilter::new(level));
    let installed = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(std::io::stderr)
        .with_ansi(std::io::stderr().is_terminal())
        .try_init();
    // A second call, as in tests, finds the first one's.
    drop(installed);
}

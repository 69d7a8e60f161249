//! The topic of offsets, as others read it: by a decoder in another language, and by Kafka's own formatter.

use std::io;
use std::process::{Command, Stdio};

use tests::broker::Plan;
use tests::place;

/// What it is called beside the clients.
pub(crate) const NAME: &str = "offsets-topic";

/// Runs the decoder; gives the last that it says.
///
/// # Errors
/// It cannot be run.
pub(crate) fn run(plan: &Plan) -> io::Result<Result<String, String>> {
    let (python, kafka) =
        (place::tools().join("venv/bin/python"), place::tools().join("java/kafka"));
    if !python.is_file() || !kafka.is_dir() {
        let told = "not run: no Python environment, or no Kafka's jars; see ci/tools".to_owned();
        let counts = std::env::var("CI").is_ok_and(|ci| ci == "true");
        return Ok(if counts { Err(told) } else { Ok(told) });
    }
    let done = Command::new(python)
        .arg(place::clients().join("python/offsets_topic.py"))
        .arg(plan.bootstrap())
        .arg(kafka.join("*"))
        .stdin(Stdio::null())
        .output()?;
    let output = String::from_utf8_lossy(&done.stdout);
    let errors = String::from_utf8_lossy(&done.stderr);
    let said = output.lines().last().or(errors.lines().last()).unwrap_or("no word").to_owned();
    Ok(if done.status.success() { Ok(said) } else { Err(said) })
}

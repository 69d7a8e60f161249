//! `corelog`: the one binary.
#![expect(clippy::print_stderr, reason = "this is a command line tool")]

mod args;
mod base64;
mod consume;
mod error;
mod input;
mod instant;
mod log;
mod output;
mod produce;
mod progress;
mod reach;
mod settings;
mod size;
mod topic;
mod verify;

use std::process::ExitCode;

use clap::Parser;

use crate::args::{Cli, Command};
use crate::error::CliError;
use crate::settings::Settings;

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    let cli = Cli::parse();
    let outcome = Settings::read(cli.config.as_deref()).and_then(|settings| run(cli, &settings));
    match outcome {
        Ok(code) => code,
        // `corelog consume orders | head` is no error.
        Err(error) if error.is_broken_pipe() => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("corelog: {error}");
            ExitCode::FAILURE
        }
    }
}

fn run(cli: Cli, settings: &Settings) -> Result<ExitCode, CliError> {
    match cli.command {
        Command::Topic(command) => topic::run(command, settings, &mut std::io::stdout().lock())?,
        Command::Produce(args) => produce::run(&args, settings)?,
        Command::Consume(args) => consume::run(&args, settings)?,
        Command::Log(command) => return log::run(command),
    }
    Ok(ExitCode::SUCCESS)
}

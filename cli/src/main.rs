//! `corelog`: the one binary.
#![expect(clippy::print_stderr, reason = "this is a command line tool")]

mod args;
mod base64;
mod bench;
mod consume;
mod dev;
mod error;
mod group;
mod input;
mod instant;
mod log;
mod logs;
mod output;
mod produce;
mod progress;
mod reach;
mod settings;
mod size;
mod topic;
mod unread;
mod verify;

use std::process::ExitCode;

use clap::Parser;

use crate::args::{Cli, Command};
use crate::error::CliError;

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    let command = Cli::parse().command;
    match run(command) {
        Ok(code) => code,
        // `corelog consume orders | head` is no error.
        Err(error) if error.is_broken_pipe() => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("corelog: {error}");
            ExitCode::FAILURE
        }
    }
}

fn run(command: Command) -> Result<ExitCode, CliError> {
    match command {
        Command::Dev(args) => dev::run(&args)?,
        Command::Topic(command) => topic::run(command, &mut std::io::stdout().lock())?,
        Command::Group(command) => group::run(command, &mut std::io::stdout().lock())?,
        Command::Produce(args) => produce::run(&args)?,
        Command::Consume(args) => consume::run(&args)?,
        Command::Log(command) => return log::run(&command),
        Command::Bench(command) => bench::run(command, &mut std::io::stdout().lock())?,
    }
    Ok(ExitCode::SUCCESS)
}

//! The program: reads the command line, runs one command, says in one line what went wrong.

mod admin;
mod browser;
mod cli;
mod commands;
mod compose;
mod configuration;
mod dev;
mod door;
mod kubeconfigs;
mod person;
mod reload;
mod signals;
mod starting;
mod telemetry;
mod terminal;

use std::process::ExitCode;

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    cli::run()
}

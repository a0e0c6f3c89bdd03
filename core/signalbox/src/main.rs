//! The `signalbox` command.

use std::io::IsTerminal;
use std::process::ExitCode;

use clap::{Parser, Subcommand};

mod allocator;
mod check;
mod ctl;
mod doc;
mod output;
mod run;
mod running;
mod settings;
mod user;

/// A SIP proxy for presence and instant messaging, routed by a Lua script.
#[derive(Parser)]
#[command(name = "signalbox", version, propagate_version = true, max_term_width = 100, after_help = EXAMPLES)]
struct Cli {
    #[command(subcommand)]
    command: Option<Command>,
}

#[derive(Subcommand)]
enum Command {
    /// Starts the server (what `signalbox` alone does, too).
    Run(run::Run),
    /// Validates settings and routing script without starting.
    Check(check::Check),
    /// Prints what a module offers: parameters, functions, commands.
    Doc(doc::Doc),
    /// Manages the accounts that digest authentication checks.
    User(user::User),
    /// Asks a running server something, or has it do something.
    Ctl(ctl::Ctl),
}

const EXAMPLES: &str = "\
Examples:
  signalbox run etc/signalbox.lua          start
  signalbox check etc/signalbox.lua        look for mistakes first
  signalbox user add alice@example.com     make an account; asks for the password
  signalbox doc registrar                  what the module registrar offers
  signalbox ctl registrar list             who is registered

Exit status: 0 done, 1 failed, 2 wrong usage.";

fn main() -> ExitCode {
    let result = match Cli::parse().command.unwrap_or_else(|| Command::Run(run::Run::default())) {
        Command::Run(run) => run.execute(),
        Command::Check(check) => check.execute(),
        Command::Doc(doc) => doc.execute(),
        Command::User(user) => user.execute(),
        Command::Ctl(ctl) => ctl.execute(),
    };
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            let (red, plain) = if std::io::stderr().is_terminal() { ("\x1b[1;31m", "\x1b[0m") } else { ("", "") };
            eprintln!("{red}error:{plain} {}", signalbox::error::explain(error.as_ref()));
            ExitCode::FAILURE
        }
    }
}

//! `signalbox doc`: the tables of a module, for people or as the Markdown of its README.

use anyhow::Result;
use clap::Args;
use signalbox::functions;
use signalbox::module::export::Tables;
use signalbox::module::{Loader, doc};

use crate::output;

/// Prints what a module offers: parameters, functions, commands, events
#[derive(Args)]
#[command(after_help = "\
Examples:
  signalbox doc                        the modules there are
  signalbox doc registrar              one of them
  signalbox doc core                   the functions that are always there
  signalbox doc registrar --markdown   as in its README")]
pub(crate) struct Doc {
    /// A module's name, or `core`; without it all modules are listed
    module: Option<String>,
    /// Print Markdown tables
    #[arg(long)]
    markdown: bool,
}

impl Doc {
    pub(crate) fn execute(self) -> Result<()> {
        let loader = Loader::new();
        let text = match self.module.as_deref() {
            None => list(&loader)?,
            Some(name) => {
                let tables = if name == "core" { core() } else { loader.load(name)?.tables() };
                if self.markdown { doc::markdown(&tables) } else { doc::plain(&tables) }
            }
        };
        Ok(output::say(&text)?)
    }
}

fn list(loader: &Loader) -> Result<String> {
    let mut rows = vec![vec!["core".to_owned(), CORE.to_owned()]];
    for name in loader.known() {
        let summary = loader.load(&name)?.tables().summary.to_owned();
        rows.push(vec![name, summary]);
    }
    Ok(output::table(&["MODULE".to_owned(), "WHAT IT DOES".to_owned()], &rows))
}

const CORE: &str = "The functions that are there without any module.";

fn core() -> Tables {
    let functions = functions::signatures().iter().map(|signature| (**signature).clone()).collect();
    Tables { name: "core", summary: CORE, parameters: Vec::new(), functions, commands: Vec::new(), events: Vec::new() }
}

//! How often the stated 95 % intervals hold the truth, over thousands of seeded runs of the real agent, read by the
//! real viewer: of sites that were fixed in advance, and of those that are shown because their estimate is large.

mod page;
mod runs;
mod subject;

use std::fs::File;
use std::io::Write;
use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Parser, Subcommand};

use subject::Layout;

#[global_allocator]
static ALLOC: plimsoll::Allocator = plimsoll::Allocator::system();

/// How often the stated 95 % intervals hold the truth
///
/// Exit code 1 when an exact figure is not the truth, or intervals of sites that were fixed in advance hold it less
/// often than they should: 93 to 97 % where 20 samples or more are expected, at least 93 % below.
#[derive(Debug, Parser)]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Runs the program of a layout of sites once: what `measure` starts
    Subject {
        /// Which sites there are
        layout: Layout,
        /// Chooses the numbers of blocks of the varied layout
        #[arg(long, default_value_t = 1)]
        seed: u64,
    },
    /// Runs the program under many seeds and prints how often intervals hold the truth
    Measure {
        /// Which sites there are; all layouts unless given
        layouts: Vec<Layout>,
        /// Seeds: 1 to this number
        #[arg(long, default_value_t = 2000)]
        seeds: u64,
        /// The viewer's program; the one beside this program unless given
        #[arg(long)]
        viewer: Option<PathBuf>,
        /// Keeps the counts in this new file, a line for each figure of each site
        #[arg(long)]
        keep: Option<PathBuf>,
    },
}

fn measure(layouts: &[Layout], seeds: u64, viewer: Option<PathBuf>, keep: Option<PathBuf>) -> Result<bool, String> {
    let own = std::env::current_exe().map_err(|error| format!("cannot find this program: {error}"))?;
    let viewer = viewer.unwrap_or_else(|| own.with_file_name("plimsoll"));
    let tools = runs::Tools { own, viewer };
    let all = [Layout::Varied, Layout::Fixed, Layout::Equal, Layout::Spread];
    let mut good = true;
    let mut kept = String::new();
    for layout in if layouts.is_empty() { &all } else { layouts } {
        let counts = runs::count(&tools, *layout, seeds)?;
        for line in &counts {
            kept.push_str(&serde_json::to_string(line).map_err(|error| error.to_string())?);
            kept.push('\n');
        }
        let (text, is_good) = page::page(*layout, seeds, &counts);
        println!("{text}");
        good &= is_good;
    }
    if let Some(path) = keep {
        let file = File::create_new(&path).and_then(|mut file| file.write_all(kept.as_bytes()));
        file.map_err(|error| format!("cannot keep counts in {}: {error}", path.display()))?;
    }
    Ok(good)
}

fn main() -> ExitCode {
    let done = match Arguments::parse().command {
        Command::Subject { layout, seed } => {
            subject::run(layout, seed).map(|()| true).map_err(|error| error.to_string())
        }
        Command::Measure { layouts, seeds, viewer, keep } => measure(&layouts, seeds, viewer, keep),
    };
    match done {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::from(1),
        Err(error) => {
            eprintln!("coverage: {error}");
            ExitCode::from(2)
        }
    }
}

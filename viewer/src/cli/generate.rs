//! `completions` and `man`: made from the arguments themselves.

use std::fs;
use std::path::Path;

use clap::CommandFactory;

use super::args::{Cli, CompletionsArgs, ManArgs};
use super::error::CliError;
use super::output::print;

pub(super) fn completions(args: &CompletionsArgs) -> Result<(), CliError> {
    let mut script = Vec::new();
    clap_complete::generate(args.shell, &mut Cli::command(), "plimsoll", &mut script);
    print(&String::from_utf8_lossy(&script))
}

pub(super) fn man(args: &ManArgs) -> Result<(), CliError> {
    let Some(directory) = &args.directory else {
        let mut page = Vec::new();
        clap_mangen::Man::new(Cli::command()).render(&mut page).map_err(CliError::Output)?;
        return print(&String::from_utf8_lossy(&page));
    };
    let failed = |path: &Path| {
        let path = path.to_owned();
        move |source| CliError::Write { path, source }
    };
    fs::create_dir_all(directory).map_err(failed(directory))?;
    clap_mangen::generate_to(Cli::command(), directory).map_err(failed(directory))
}

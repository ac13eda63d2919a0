//! The program `plimsoll`; see the library beside it.
#![forbid(unsafe_code)]

use std::process::ExitCode;

fn main() -> ExitCode {
    plimsoll_viewer::cli::main()
}

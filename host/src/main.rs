//! borg-host: the program. What it can be told is in `cli`; what it then does is in the library.

mod cli;

use std::process::ExitCode;

fn main() -> ExitCode {
    cli::main()
}

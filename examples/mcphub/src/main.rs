//! The `mcphub` binary.

use std::process::ExitCode;

fn main() -> ExitCode {
    mcphub_cli::main()
}

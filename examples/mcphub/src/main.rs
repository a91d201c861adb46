//! The `mcphub` binary.

use std::process::ExitCode;

use mimalloc::MiMalloc;

// A call allocates on one thread and frees on another, for which glibc's allocator locks.
#[global_allocator]
static ALLOCATOR: MiMalloc = MiMalloc;

fn main() -> ExitCode {
    mcphub_cli::main()
}

//! What the system says of this process, under the names that Prometheus' own libraries use. On
//! Linux, from `/proc`; elsewhere nothing.

use std::fs;

/// What is known; what is not is left out.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub(super) struct Process {
    /// Bytes of memory that it has.
    pub(super) resident: Option<u64>,
    /// The most that it had.
    pub(super) peak: Option<u64>,
    pub(super) threads: Option<u64>,
    pub(super) open_files: Option<u64>,
}

impl Process {
    /// Reads files that the kernel makes up; to be called where it may block all the same.
    pub(super) fn read() -> Self {
        let status = fs::read_to_string("/proc/self/status").unwrap_or_default();
        let open_files = fs::read_dir("/proc/self/fd").map(|files| files.count() as u64);
        Self {
            open_files: open_files.ok(),
            ..Self::of(&status)
        }
    }

    /// What `/proc/self/status` says (proc_pid_status(5)).
    fn of(status: &str) -> Self {
        let number = |name: &str| {
            let line = status.lines().find_map(|line| line.strip_prefix(name))?;
            line.split_whitespace().next()?.parse::<u64>().ok()
        };
        let kibibytes = |name| number(name).map(|count| count.saturating_mul(1024));
        Self {
            resident: kibibytes("VmRSS:"),
            peak: kibibytes("VmHWM:"),
            threads: number("Threads:"),
            open_files: None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_the_kernel_says_is_read_and_what_it_does_not_say_is_left_out() {
        let status = "Name:\tmcphub\nVmHWM:\t   20480 kB\nVmRSS:\t   10240 kB\nThreads:\t7\n";
        let process = Process::of(status);
        assert_eq!(process.resident, Some(10 << 20));
        assert_eq!(process.peak, Some(20 << 20));
        assert_eq!(process.threads, Some(7));
        assert_eq!(Process::of("VmRSS:\tmuch kB\n"), Process::default());
    }
}

//! Roles that need not outlive the process. Nothing in here touches a file or another process.

mod event;

pub use event::MemoryEventBus;

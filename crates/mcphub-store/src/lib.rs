//! mcphub-store

//! mcphub-codegen

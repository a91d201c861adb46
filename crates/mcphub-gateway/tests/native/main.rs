//! Tools that the gateway calls by HTTP itself, over real sockets.

#![allow(missing_docs)]

#[path = "../../../mcphub-core/tests/answers/mod.rs"]
mod answers;
#[path = "../authority/mod.rs"]
mod authority;
#[path = "../bookshop/mod.rs"]
mod bookshop;
#[path = "../recording_api/mod.rs"]
mod recording_api;

mod answer_table;
mod arguments;
mod bank;
mod cached;
mod certificates;
mod connections;
mod credentials;
mod digest;
mod exchange;
mod faults;
mod large_answers;
mod logins;
mod oauth_login;
mod progress;
mod rest;
mod tokens;
mod traces;

//! What a gateway says to its clients, over real sockets.

mod alerts;
mod asking;
mod audit;
mod circuits;
mod client;
mod faults;
mod faulty_server;
mod federation;
mod found;
mod keys;
mod limits;
mod mcp_server;
mod metrics;
mod modern;
mod nodes;
mod old_era;
mod principals;
mod relay;
mod replicas;
mod rmcp_client;
mod sessions;
mod sse;
mod stdio;
mod support;
mod transport;
mod watching;

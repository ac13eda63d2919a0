//! The live picture in a browser: pages, a WebSocket, REST, metrics and pprof, on loopback unless told otherwise.
//!
//! A follower's pictures become messages once (`hub`), however many watch. What needs all events is read from the newest
//! look at a capture, or on demand, a few at a time (`heavy`). `access` says who may ask for what. `docs/serve.md` says
//! what is promised, `docs/api.md` what is answered.

mod access;
mod answer;
mod assets;
mod commands;
mod connections;
mod heavy;
mod hub;
mod live;
mod metrics;
mod points;
mod query;
mod questions;
mod routes;
mod server;
mod simple;
mod socket;
mod state;

pub use server::{PORT, ServeError, ServeOptions, Server, ports};

//! Reads Plimsoll captures and says what they mean: everything that the `plimsoll` program shows comes from here.
//!
//! The pipeline: [`capture`] reads a file into a [`model::Profile`], [`replay`] follows its events into a
//! [`replay::Heap`], [`symbolize`] names its stacks, [`analysis`] and [`view`] answer questions, [`present`] shows the
//! answers. [`follow`] does so while a capture grows, [`top`] shows that in a terminal, [`serve`] in a browser, [`status`] in
//! one line; [`alert`] says when something is to be told of, and [`control`] asks running programs to record, or to give
//! memory back. [`cli`] is the command line around it.
#![forbid(unsafe_code)]

pub mod alert;
pub mod analysis;
pub mod capture;
pub mod cli;
pub mod control;
pub mod export;
pub mod follow;
pub mod model;
pub mod present;
pub mod probe;
pub mod replay;
pub mod serve;
pub mod status;
pub mod symbolize;
pub mod top;
pub mod view;

#[cfg(test)]
#[path = "../tests/support/mod.rs"]
mod testing;

//! The top floor: command line, configuration, keys and wiring; the only reader of the environment
//! and the wall clock.

pub mod authorization;
pub mod cli;
pub mod clock;
pub mod config;
pub mod demo;
pub mod keys;
pub mod serve;
pub mod telemetry;

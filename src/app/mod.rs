//! Configuration, keys, telemetry, wiring: the only floor that reads the environment.

pub mod config;
pub mod keys;
pub mod serve;
pub mod telemetry;

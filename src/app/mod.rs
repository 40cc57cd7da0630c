//! The top floor: the command line, and the only readers of environment and wall clock.

pub mod cli;
pub mod clock;
pub mod demo;
pub mod serve;

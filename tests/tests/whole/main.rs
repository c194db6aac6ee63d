//! The whole program: installations that are started, asked, killed and started again.

mod ask;
mod bad_input;
mod bundles;
mod cancel;
mod chain;
mod cheats;
mod checks;
mod crash;
mod daily;
mod faults;
mod full_disk;
mod hostile_repository;
mod inside;
mod left_behind;
mod money;
mod parallel;
mod plugins;
mod readme;
mod real_cli_against_standin;
mod restart;
mod scenarios;
mod secrets;
mod terminal;

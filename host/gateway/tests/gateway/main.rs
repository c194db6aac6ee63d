//! The gateway against a stand-in for the provider, through its real socket. One module per question.
#![cfg(test)]

mod bodies;
mod bound;
mod budget;
mod door;
mod faults;
mod heads;
mod left_behind;
mod recorded;
mod second;
mod support;
mod tls;

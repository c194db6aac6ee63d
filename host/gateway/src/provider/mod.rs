//! Model providers: all that the gateway knows of somebody's API stands below this folder, one folder each.
//!
//! A provider is asked about a request in the order in which it passes: is that path yours ([`Provider::routes`]), may that head pass
//! ([`Provider::head`]), that body ([`Provider::prompt`]), how is it asked with this credential ([`Provider::headers`]); then how much did it
//! use ([`Provider::meter`]), or what does its error say ([`Provider::error`]); and how do its clients want to be told that we did not ask
//! ([`Provider::say`]). It answers with values and touches neither sockets nor accounts.
//!
//! How one could get it wrong: passing on what is not known. A head and a body are made anew from the parts that are on the provider's list;
//! fields by which it would fetch, run or keep something are absent from that, so they are refused. And counting too little: what a meter
//! cannot read is the worst case, never nothing.

mod anthropic;
mod api;
pub mod framing;
pub mod shape;
pub mod sse;

pub use crate::{
    refusal::{Refusal, Remedy, quoted},
    say::{Retry, Said, Told},
    usage::{Kept, Used, Weight},
};
pub use api::{Head, Meter, Output, Pause, Prompt, Provider, Settings};
pub use borg_core::policy::ProviderName;

/// The provider that policy calls so.
pub fn named(name: ProviderName) -> &'static dyn Provider {
    match name {
        ProviderName::Anthropic => &anthropic::Anthropic,
    }
}

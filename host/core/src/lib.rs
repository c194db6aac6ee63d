//! borg-core: what things are and what happens next.
//!
//! Data in, data out: no I/O, no clock, no async, no wasmtime. Everything risky is a value by the time it gets here;
//! everything to be done leaves as an [`effect::Effect`].

pub mod approval;
pub mod asked;
pub mod budget;
pub mod bundle;
pub mod chat;
pub mod check;
pub mod collect;
pub mod daily;
pub mod decide;
pub mod denial;
pub mod dispatch;
pub mod effect;
pub mod event;
pub mod evidence;
pub mod executor;
pub mod facts;
pub mod grant;
pub mod id;
pub mod intent;
pub mod kept;
pub mod list;
pub mod owner;
pub mod people;
pub mod permit;
pub mod persona;
pub mod plan;
pub mod policy;
pub mod record;
pub mod remedy;
pub mod run;
pub mod spelling;
pub mod step;
pub mod survey;
pub mod tariff;
pub mod task;
pub mod tool;
pub mod verdict;
pub mod words;

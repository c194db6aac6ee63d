//! Where an approved change goes. For now a branch of a repository on this machine; pull requests come with the gateway.

pub mod branch;

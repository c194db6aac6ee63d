//! A Git client of ours speaking to a repository of somebody else: two processes and two pipes.
//!
//! The client works on our mirror and never opens the other repository; the server runs as that repository's owner, confined
//! to it, with hooks off and everything its configuration could start overruled. The client's end is the `fd::` transport
//! (gitremote-helpers(7), git-remote-fd(1)), so no shell and no address is involved.

use super::{Call, Error, Git, config, source::Local};
use crate::spawn::{Stdin, Stdout, User};
use std::{ffi::OsString, io, os::fd::AsRawFd};

/// What the other side does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Service {
    /// Serves a fetch; reads only.
    UploadPack,
    /// Takes a push.
    ReceivePack,
}

impl Git {
    /// Runs `client` against `peer`. The client's arguments are followed by the transport's address and then by `after`.
    pub async fn link(
        &self,
        client: Call,
        after: impl IntoIterator<Item = OsString>,
        peer: &Local,
        service: Service,
    ) -> Result<crate::spawn::Output, Error> {
        let (service_in, client_out) = io::pipe().map_err(Error::Pipe)?;
        let (client_in, service_out) = io::pipe().map_err(Error::Pipe)?;
        let address = format!("fd::{},{}", client_in.as_raw_fd(), client_out.as_raw_fd());
        let mut client = client.global(["-c", "protocol.fd.allow=always"]).arg(address).args(after);
        client.keep = vec![client_in.into(), client_out.into()];
        let mut server = match service {
            Service::UploadPack => self.anywhere("upload-pack").arg("--strict").reads(&peer.git_dir),
            Service::ReceivePack => self.anywhere("receive-pack").writes(&peer.git_dir),
        };
        server = server.arg(&peer.git_dir).stdin(Stdin::Fd(service_in.into())).stdout(Stdout::Fd(service_out.into()));
        // Even one that is asked to end may leave a lock in a repository that is not ours to clear up. Its input ends with its client, and so
        // does it.
        server.outlives = service == Service::ReceivePack;
        server.env = config::foreign_environment(&self.home);
        server.user = User::current().is_root().then_some(peer.owner);
        let (client_what, server_what) = (client.what.clone(), server.what.clone());
        let (client, server) = tokio::join!(self.attempt(client), self.attempt(server));
        let (client, server) = (client?, server?);
        // A server that failed by itself knows why better than the client, which only sees the pipe close.
        if !client.status.success() && !server.status.success() && server.status.code().is_some() && !client.timed_out {
            self.check(&server_what, server)?;
        }
        self.check(&client_what, client)
    }
}

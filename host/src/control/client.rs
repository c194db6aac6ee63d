//! Talks to a running host. Used by every command that needs one.

use super::{EventsQuery, IntentRequest, socket_path};
use crate::engine::Reply;
use anyhow::{Context, Result, anyhow, bail};
use borg_core::remedy::Advice;
use http_body_util::{BodyExt, Full};
use hyper::{Method, Request, StatusCode, body::Bytes, client::conn::http1};
use hyper_util::rt::TokioIo;
use serde::de::DeserializeOwned;
use std::{
    io,
    path::{Path, PathBuf},
};
use tokio::net::UnixStream;

/// A host to talk to.
pub struct Client {
    socket: PathBuf,
}

/// A no from the host: what and why, and what would change it.
#[derive(Debug, thiserror::Error)]
#[error("{reason}")]
pub struct Refusal {
    pub reason: String,
    pub remedy: Advice,
}

/// Nobody serves the control socket.
#[derive(Debug, thiserror::Error)]
#[error("no host is running here ({})", .0.display())]
pub struct NoHost(pub PathBuf);

impl Client {
    pub fn new(data_dir: &Path) -> Self {
        Client { socket: socket_path(data_dir) }
    }

    /// True when a host answers.
    pub async fn is_there(&self) -> bool {
        UnixStream::connect(&self.socket).await.is_ok()
    }

    async fn send(&self, method: Method, path: &str, body: Vec<u8>) -> Result<hyper::Response<hyper::body::Incoming>> {
        let stream = UnixStream::connect(&self.socket).await.map_err(|error| match error.kind() {
            io::ErrorKind::NotFound | io::ErrorKind::ConnectionRefused => NoHost(self.socket.clone()).into(),
            io::ErrorKind::PermissionDenied => {
                anyhow!("you may not talk to this host ({}): it belongs to another user", self.socket.display())
            }
            _ => anyhow::Error::new(error).context(format!("connecting to {}", self.socket.display())),
        })?;
        let (mut sender, connection) =
            http1::handshake(TokioIo::new(stream)).await.context("the host does not speak HTTP")?;
        tokio::spawn(connection);
        let request = Request::builder()
            .method(method)
            .uri(path)
            .header("host", "borg")
            .header("content-type", "application/json")
            .body(Full::new(Bytes::from(body)))?;
        let response = sender.send_request(request).await.context("the host went away")?;
        if response.status() == StatusCode::OK {
            return Ok(response);
        }
        let status = response.status();
        let body = response.into_body().collect().await?.to_bytes();
        match serde_json::from_slice(&body) {
            Ok(Reply::Refused { reason, remedy, .. }) => Err(Refusal { reason, remedy }.into()),
            Ok(_) | Err(_) => bail!("the host answered {status}: {}", String::from_utf8_lossy(&body)),
        }
    }

    /// Reads JSON.
    pub async fn get<T: DeserializeOwned>(&self, path: &str) -> Result<T> {
        let body = self.text(path).await?;
        serde_json::from_str(&body).context("the host's answer cannot be read; is it another version?")
    }

    /// Reads text.
    pub async fn text(&self, path: &str) -> Result<String> {
        let response = self.send(Method::GET, path, Vec::new()).await?;
        let body = response.into_body().collect().await.context("the host went away")?.to_bytes();
        Ok(String::from_utf8_lossy(&body).into_owned())
    }

    /// Asks for something.
    pub async fn intend(&self, request: &IntentRequest) -> Result<Reply> {
        let response = self.send(Method::POST, "/v1/intents", serde_json::to_vec(request)?).await?;
        let body = response.into_body().collect().await.context("the host went away")?.to_bytes();
        serde_json::from_slice(&body).context("the host's answer cannot be read; is it another version?")
    }

    /// Follows the journal, line by line, to its end.
    pub async fn events(&self, query: &EventsQuery, mut line: impl FnMut(&str) -> Result<()>) -> Result<()> {
        let task = query.task.map(|task| format!("&task={task}")).unwrap_or_default();
        let path = format!("/v1/events?after={}&follow={}{task}", query.after, query.follow);
        let mut body = self.send(Method::GET, &path, Vec::new()).await?.into_body();
        let mut rest = Vec::new();
        while let Some(frame) = body.frame().await {
            let frame = frame.context("the host went away")?;
            if let Some(data) = frame.data_ref() {
                rest.extend_from_slice(data);
                while let Some(end) = rest.iter().position(|byte| *byte == b'\n') {
                    line(&String::from_utf8_lossy(&rest[..end]))?;
                    rest.drain(..=end);
                }
            }
        }
        Ok(())
    }
}

//! A provider's end: sends a request as it was made to the one host of that provider. Redirects are not followed, nothing is asked twice here.

use crate::access::Endpoint;
use http_body_util::Full;
use hyper::{
    HeaderMap, Method, Request, Response, Uri,
    body::{Bytes, Incoming},
};
use hyper_rustls::{HttpsConnector, HttpsConnectorBuilder};
use hyper_util::{
    client::legacy::{Client, connect::HttpConnector},
    rt::{TokioExecutor, TokioTimer},
};
use rustls::{
    ClientConfig, RootCertStore,
    crypto::CryptoProvider,
    pki_types::{CertificateDer, pem::PemObject},
};
use std::{
    io,
    net::IpAddr,
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

/// Why the provider's address cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum BaseError {
    #[error("`{0}` is not an http or https address without a query")]
    NotHttp(String),
    #[error("`{0}` would send the key in the clear: use https, or http to a loopback address")]
    Clear(String),
    #[error("the system's certificate authorities cannot be read; install `ca-certificates`")]
    Roots(#[source] io::Error),
    #[error("the certificate authorities in {path} cannot be used: {why}; it must hold certificates as PEM", path = path.display())]
    CaFile { path: PathBuf, why: String },
}

/// Why there is no response.
#[derive(Debug, thiserror::Error)]
pub(crate) enum SendError {
    /// The request did not leave.
    #[error("the model provider cannot be reached")]
    Connect,
    /// It may have been worked on.
    #[error("the model provider closed the connection without an answer")]
    Lost,
}

/// Connections to one provider, shared by all runs.
pub(crate) struct Upstream {
    client: Http,
    scheme_and_host: String,
    path: String,
    pub host: String,
}

enum Http {
    Plain(Client<HttpConnector, Full<Bytes>>),
    Tls(Client<HttpsConnector<HttpConnector>, Full<Bytes>>),
}

impl Upstream {
    pub fn new(endpoint: &Endpoint, connect_time: Duration) -> Result<Upstream, BaseError> {
        let base = &endpoint.base;
        let not_http = || BaseError::NotHttp(base.to_string());
        let (scheme, authority) = base.scheme_str().zip(base.authority()).ok_or_else(not_http)?;
        if base.query().is_some() || authority.as_str().contains('@') {
            return Err(not_http());
        }
        let mut tcp = HttpConnector::new();
        tcp.set_connect_timeout(Some(connect_time));
        tcp.set_nodelay(true);
        tcp.enforce_http(false);
        let mut builder = Client::builder(TokioExecutor::new());
        builder.pool_timer(TokioTimer::new()).http1_max_buf_size(256 << 10);
        let client = match scheme {
            "http" if is_loopback(authority.host()) => Http::Plain(builder.build(tcp)),
            "http" => return Err(BaseError::Clear(base.to_string())),
            "https" => {
                // Named, because the process may have no default or two.
                let provider = rustls::crypto::ring::default_provider();
                let tls = HttpsConnectorBuilder::new();
                let tls = match &endpoint.ca_file {
                    None => tls.with_provider_and_native_roots(provider).map_err(BaseError::Roots)?,
                    Some(path) => tls.with_tls_config(trusting(path, provider)?),
                };
                Http::Tls(builder.build(tls.https_only().enable_http1().wrap_connector(tcp)))
            }
            _ => return Err(not_http()),
        };
        Ok(Upstream {
            client,
            scheme_and_host: format!("{scheme}://{authority}"),
            path: base.path().trim_end_matches('/').to_owned(),
            host: authority.host().to_owned(),
        })
    }

    /// Posts to a path (and query) below the base and waits for the head of the response, however long that takes.
    pub async fn send(&self, target: &str, headers: HeaderMap, body: Bytes) -> Result<Response<Incoming>, SendError> {
        let mut request = Request::new(Full::new(body));
        *request.method_mut() = Method::POST;
        *request.uri_mut() = self.uri(target);
        *request.headers_mut() = headers;
        let sent = match &self.client {
            Http::Plain(client) => client.request(request).await,
            Http::Tls(client) => client.request(request).await,
        };
        // The error's own words are dropped: they may quote what was sent.
        sent.map_err(|error| if error.is_connect() { SendError::Connect } else { SendError::Lost })
    }

    fn uri(&self, target: &str) -> Uri {
        format!("{}{}{target}", self.scheme_and_host, self.path)
            .parse()
            .expect("the parts of a checked address and constants make an address")
    }
}

/// TLS that trusts the authorities in a file and no others.
fn trusting(path: &Path, provider: CryptoProvider) -> Result<ClientConfig, BaseError> {
    let failed = |why: String| BaseError::CaFile { path: path.to_owned(), why };
    let mut roots = RootCertStore::empty();
    for certificate in CertificateDer::pem_file_iter(path).map_err(|error| failed(error.to_string()))? {
        let certificate = certificate.map_err(|error| failed(error.to_string()))?;
        roots.add(certificate).map_err(|error| failed(error.to_string()))?;
    }
    if roots.is_empty() {
        return Err(failed("there is none in it".into()));
    }
    let config = ClientConfig::builder_with_provider(Arc::new(provider))
        .with_safe_default_protocol_versions()
        .map_err(|error| failed(error.to_string()))?;
    Ok(config.with_root_certificates(roots).with_no_client_auth())
}

fn is_loopback(host: &str) -> bool {
    let bare = host.trim_start_matches('[').trim_end_matches(']');
    bare.parse::<IpAddr>().is_ok_and(|address| address.is_loopback())
}

//! The way to the provider as it is in earnest: encrypted, and only to whom the trusted authorities vouch for. No other host ever sees
//! the key.

use crate::support::{BODY, KEY, PLENTY, STREAM, Upstream, World, own_pid};
use borg_gateway::{BaseError, Config, Endpoint, Error, Fate, Gateway};
use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair, date_time_ymd};
use std::{path::PathBuf, sync::Arc};
use tokio_rustls::{
    TlsAcceptor,
    rustls::{ServerConfig, pki_types::PrivateKeyDer},
};

/// An authority of the test's own, and the file that names it.
struct Authority {
    issuer: CertifiedIssuer<'static, KeyPair>,
    file: PathBuf,
    _dir: tempfile::TempDir,
}

impl Authority {
    fn new() -> Authority {
        let mut params = CertificateParams::new([]).unwrap();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let issuer = CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap();
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("ca.pem");
        std::fs::write(&file, issuer.pem()).unwrap();
        Authority { issuer, file, _dir: dir }
    }

    /// A stand-in whose certificate is for this host, as `edit` leaves it.
    async fn stand_in(&self, host: &str, edit: impl FnOnce(&mut CertificateParams)) -> Upstream {
        let mut params = CertificateParams::new([host.to_owned()]).unwrap();
        edit(&mut params);
        let key = KeyPair::generate().unwrap();
        let certificate = params.signed_by(&key, &self.issuer).unwrap();
        let provider = Arc::new(tokio_rustls::rustls::crypto::ring::default_provider());
        let config = ServerConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_no_client_auth()
            .with_single_cert(vec![certificate.der().clone()], PrivateKeyDer::try_from(key.serialize_der()).unwrap())
            .unwrap();
        Upstream::behind(Some(TlsAcceptor::from(Arc::new(config)))).await
    }
}

async fn world(upstream: Upstream, trusted: &Authority) -> World {
    let world = World::at(upstream, Some(trusted.file.clone()), |_| {}, |access| access.allowance = PLENTY).await;
    world.door.admit(own_pid());
    world
}

#[tokio::test]
async fn a_stream_comes_through_encrypted() {
    let authority = Authority::new();
    let world = world(authority.stand_in("127.0.0.1", |_| {}).await, &authority).await;
    for n in 1..=2 {
        let answer = world.post(BODY).await;
        assert_eq!((answer.status, answer.cut, answer.body.as_bytes()), (200, false, STREAM));
        let got = world.upstream.got();
        assert_eq!((got.len(), got[n - 1].header("x-api-key")), (n, Some(KEY)));
        assert!(world.upstream.base.to_string().starts_with("https://"));
    }
    assert!(world.book.rows().iter().all(|row| row.fate == Fate::Allowed && !row.estimated));
}

#[tokio::test]
async fn whoever_cannot_prove_its_name_hears_nothing() {
    let (authority, other) = (Authority::new(), Authority::new());
    let past = |params: &mut CertificateParams| {
        (params.not_before, params.not_after) = (date_time_ymd(2001, 1, 1), date_time_ymd(2002, 1, 1));
    };
    for (upstream, why) in [
        (other.stand_in("127.0.0.1", |_| {}).await, "another authority"),
        (authority.stand_in("api.example.org", |_| {}).await, "another name"),
        (authority.stand_in("127.0.0.1", past).await, "out of date"),
    ] {
        let world = world(upstream, &authority).await;
        let answer = world.post(BODY).await;
        assert_eq!(answer.status, 502, "{why}: {answer:?}");
        assert!(answer.message().contains("cannot be reached"), "{why}: {answer:?}");
        assert!(world.upstream.got().is_empty(), "{why}: it was sent something");
        assert_eq!((world.door.spent().turns, world.door.spent().cost.0), (0, 0), "{why}");
    }
}

#[tokio::test]
async fn authorities_that_cannot_be_used_are_an_error_at_the_start() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("ca.pem");
    let start = |file: &PathBuf| {
        let usual = Endpoint::usual(crate::support::anthropic());
        let endpoints = vec![Endpoint { ca_file: Some(file.clone()), ..usual }];
        let config = Config { endpoints, ..Config::default() };
        let keys = Arc::new(crate::support::Keys::default());
        Gateway::new(config, keys, Arc::new(crate::support::Book::default())).err()
    };
    let broken = "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n";
    for text in [None, Some(""), Some("no certificate"), Some(broken)] {
        if let Some(text) = text {
            std::fs::write(&file, text).unwrap();
        }
        let error = start(&file);
        let Some(Error::Base(error @ BaseError::CaFile { .. })) = error else { panic!("{text:?}: {error:?}") };
        assert!(error.to_string().contains("ca.pem") && error.to_string().contains("PEM"), "{error}");
    }
    assert!(start(&Authority::new().file).is_none());
}

//! Secrets as the gateway holds them: redacted, wiped, and asked for anew with each request. Where they come from, and how an
//! OAuth token is refreshed, is the business of whoever implements [`Secrets`].

use crate::BoxFuture;
use std::{fmt, sync::Arc};
use zeroize::Zeroizing;

/// Text that must not be shown. Clones share one copy, which is wiped when the last of them goes.
#[derive(Clone)]
pub struct Secret(Arc<Zeroizing<String>>);

impl Secret {
    pub fn new(text: String) -> Secret {
        Secret(Arc::new(Zeroizing::new(text)))
    }

    /// The text itself, for the one place that writes it into a request.
    pub fn expose(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret(…)")
    }
}

/// A secret as it was found. What it is, and how it is presented, the provider tells it by.
#[derive(Clone, Debug)]
pub enum Credential {
    /// As somebody wrote it down: a key, or a token of a subscription, by its form.
    Plain(Secret),
    /// A token of a subscription, from a place where nothing else is kept.
    OAuth(Secret),
}

impl Credential {
    pub fn secret(&self) -> &Secret {
        match self {
            Credential::Plain(secret) | Credential::OAuth(secret) => secret,
        }
    }
}

/// Why a secret could not be had. The text reaches agents and people, so it must not hold the secret.
#[derive(Debug, thiserror::Error)]
pub enum SecretError {
    #[error("there is no secret `{0}`")]
    Unknown(String),
    #[error("secret `{name}` cannot be read: {why}")]
    Unreadable { name: String, why: String },
}

/// Where the gateway gets its credentials. Asked once per request, so an answer from memory should be the usual case.
pub trait Secrets: Send + Sync {
    /// The current value of the secret of this name.
    fn get<'a>(&'a self, name: &'a str) -> BoxFuture<'a, Result<Credential, SecretError>>;

    /// Tells that the provider answered 401 to the current value. It should be read or refreshed again; [`Secrets::get`]
    /// is asked once more afterwards.
    fn rejected<'a>(&'a self, name: &'a str) -> BoxFuture<'a, ()>;
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn debug_is_redacted() {
        let secret = Secret::new("very-secret".into());
        let shown = format!("{:?} {:?}", secret.clone(), Credential::OAuth(secret));
        assert!(!shown.contains("very"), "{shown}");
    }
}

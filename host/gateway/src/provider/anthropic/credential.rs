//! Credentials: what a client may send as one, what the host has, and how it is presented.

use crate::{
    provider::api::Head,
    refusal::{Refusal, Rule},
    secret::Credential,
};
use hyper::{
    HeaderMap,
    header::{AUTHORIZATION, HeaderValue, InvalidHeaderValue},
};
use zeroize::Zeroizing;

/// Stands for the key inside; the gateway takes it off and puts the real one on.
pub(super) const PLACEHOLDER: &str = "sk-ant-borg-placeholder";
/// The header of beta tokens.
pub(super) const BETA: &str = "anthropic-beta";
/// Token of the beta that belongs to OAuth credentials: put in or taken out by the host, never the client's choice.
pub(super) const OAUTH_BETA: &str = "oauth-2025-04-20";

/// Where an API key stands.
const KEY: &str = "x-api-key";
/// Begins the tokens of a subscription; everything else is an API key.
const OAUTH: &str = "sk-ant-oat";

/// A client's credential is the placeholder or none. It never goes further, whatever it is.
pub(super) fn check(headers: &HeaderMap) -> Result<(), Refusal> {
    let keys = headers.get_all(KEY).iter().map(HeaderValue::as_bytes);
    let tokens = headers.get_all(AUTHORIZATION).iter().map(|value| {
        let value = value.as_bytes();
        match value.split_at_checked(7) {
            Some((scheme, token)) if scheme.eq_ignore_ascii_case(b"bearer ") => token,
            _ => value,
        }
    });
    match keys.chain(tokens).all(|given| given == PLACEHOLDER.as_bytes()) {
        true => Ok(()),
        false => {
            Err(Refusal::new(Rule::Credential, "the request carries a credential that is not this run's placeholder"))
        }
    }
}

/// True for the OAuth token of a subscription.
pub(super) fn is_oauth(credential: &Credential) -> bool {
    match credential {
        Credential::OAuth(_) => true,
        Credential::Plain(secret) => secret.expose().starts_with(OAUTH),
    }
}

/// The headers of the request as it leaves: the checked ones, the betas, the credential.
pub(super) fn headers(head: &Head, credential: &Credential) -> Result<HeaderMap, InvalidHeaderValue> {
    let mut headers = head.headers.clone();
    let mut betas: Vec<&str> = head.features.iter().map(String::as_str).collect();
    let secret = credential.secret().expose();
    if is_oauth(credential) {
        betas.push(OAUTH_BETA);
        headers.insert(AUTHORIZATION, sensitive(&Zeroizing::new(format!("Bearer {secret}")))?);
    } else {
        headers.insert(KEY, sensitive(secret)?);
    }
    if !betas.is_empty() {
        let list =
            HeaderValue::from_str(&betas.join(",")).expect("tokens were checked to be ASCII letters, digits and -_.");
        headers.insert(BETA, list);
    }
    Ok(headers)
}

fn sensitive(text: &str) -> Result<HeaderValue, InvalidHeaderValue> {
    let mut value = HeaderValue::from_str(text)?;
    value.set_sensitive(true);
    Ok(value)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Secret;

    #[test]
    fn a_token_is_told_by_its_form_or_by_where_it_was_found() {
        let secret = |text: &str| Secret::new(text.into());
        for (credential, oauth) in [
            (Credential::Plain(secret("sk-ant-api03-key")), false),
            (Credential::Plain(secret("a key of another form")), false),
            (Credential::Plain(secret("sk-ant-oat01-token")), true),
            (Credential::OAuth(secret("sk-ant-oat01-token")), true),
            (Credential::OAuth(secret("a token of another form")), true),
        ] {
            assert_eq!(is_oauth(&credential), oauth, "{}", credential.secret().expose());
        }
    }
}

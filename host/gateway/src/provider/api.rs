//! What the gateway asks of a provider, and the values in which it is answered.

use crate::{
    refusal::Refusal,
    say::{Said, Told},
    secret::Credential,
    usage::{Used, Weight},
};
use hyper::{HeaderMap, Response, StatusCode, body::Bytes, header::InvalidHeaderValue, http::request::Parts};
use serde_json::Value;
use std::{collections::BTreeMap, fmt};

/// Somebody's API, as far as a coding agent needs it.
pub trait Provider: fmt::Debug + Send + Sync {
    /// Its name in policy, different from all others.
    fn name(&self) -> &'static str;

    /// Base of its API, without a path, unless settings say otherwise.
    fn base(&self) -> &'static str;

    /// Settings of the host by which its base, and the certificate authorities to trust there, are changed.
    fn settings(&self) -> Settings;

    /// Environment variable in which its clients look for the address of the API.
    fn address(&self) -> &'static str;

    /// What an agent is given in place of a key: 1 to 256 visible ASCII characters. A request with any other credential is refused: a foreign
    /// key in a container is a way to carry data to somebody else's account.
    fn placeholder(&self) -> &'static str;

    /// Paths that exist, all of them asked with POST and a JSON body.
    fn routes(&self) -> &'static [&'static str];

    /// Checks a head that asks for this one of [`Provider::routes`], and makes of it what is sent. Its method and path are right.
    fn head(&self, route: usize, parts: &Parts) -> Result<Head, Refusal>;

    /// Features that may always be asked for, beside those that policy lists.
    fn features(&self) -> &'static [&'static str];

    /// The header in which [`Head::features`] are asked for.
    fn feature_header(&self) -> &'static str;

    /// Checks a whole body that was this many bytes long, and says what is known of it.
    fn prompt(&self, head: &Head, body: Value, bytes: usize) -> Result<Prompt, Refusal>;

    /// Lowers the output that a body asks for to what is paid for. Only asked where [`Prompt::output`] is.
    fn limit(&self, body: &mut Value, most: u32);

    /// True if a subscription pays for what is asked with this credential.
    fn is_subscription(&self, credential: &Credential) -> bool;

    /// The headers of a request as it leaves: those of its head, and the credential. An error means that no header can carry the credential.
    fn headers(&self, head: &Head, credential: &Credential) -> Result<HeaderMap, InvalidHeaderValue>;

    /// Reads the body of a good response with these headers.
    fn meter(&self, headers: &HeaderMap) -> Box<dyn Meter>;

    /// True if this header of a response is passed on.
    fn passes(&self, header: &str) -> bool;

    /// What it says of the subscription that paid, by name. Nothing where it has none.
    fn subscription(&self, headers: &HeaderMap) -> BTreeMap<String, String>;

    /// How long nothing more should be asked, where the answer says that it was too much.
    fn pause(&self, status: StatusCode, headers: &HeaderMap) -> Option<Pause>;

    /// What an error says, if this is one in the provider's form.
    fn error(&self, body: &[u8]) -> Option<Told>;

    /// An answer of ours in the form its clients understand, with [`Said::status`].
    fn say(&self, said: &Said<'_>) -> Response<String>;

    /// The same for the end of a response that has begun as a stream; see [`Meter::may_append`].
    fn say_in_stream(&self, message: &str) -> Bytes;
}

/// Names of settings, as environment variables.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Settings {
    pub base: &'static str,
    pub ca_file: &'static str,
}

/// A head that was checked, as it is sent.
#[derive(Debug)]
pub struct Head {
    /// Index into [`Provider::routes`].
    pub route: usize,
    /// Path and query, made of constants.
    pub target: String,
    /// Without the credential, and without [`Head::features`].
    pub headers: HeaderMap,
    /// What it wants beyond the plain API, each once; policy lists what may be wanted.
    pub features: Vec<String>,
    /// True if it lets the model take in more than its usual window.
    pub widens: bool,
}

/// A body that holds only what its provider lists, and what is known of it.
#[derive(Debug)]
pub struct Prompt {
    /// Written anew before it is sent, so that it says what was checked.
    pub body: Value,
    pub model: String,
    /// None if the model is not made to work, so that nothing is used.
    pub output: Option<Output>,
    pub weight: Weight,
}

/// Tokens of output.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Output {
    pub asked: u32,
    /// Below this the request makes no sense, unless it asks for less.
    pub least: u32,
}

/// Too much was asked of a provider.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Pause {
    /// None if it does not say how long.
    pub ms: Option<u64>,
}

/// Reads usage out of one response as it passes.
pub trait Meter: Send {
    /// Takes the next piece of the body; where it was cut does not matter.
    fn feed(&mut self, bytes: &[u8]);

    /// True if what passed so far is whole, so that words of ours may follow.
    fn may_append(&self) -> bool;

    /// What was used, with the worst case in place of what is not known.
    fn settle(self: Box<Self>, worst: &Used) -> Used;
}

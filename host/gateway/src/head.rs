//! What a request asks for, told by its first line and headers, before any of its body is read: that decides which way it takes.

use crate::{
    refusal::{Refusal, Remedy, Rule, quoted},
    way::{Model, Way},
};
use hyper::{Method, http::request::Parts};
use std::sync::Arc;

/// What is asked for.
pub(crate) enum Asked {
    /// This one of the provider's routes.
    Model(Arc<Model>, usize),
}

/// Finds the way that serves this; the first one does, if several do.
pub(crate) fn asked(parts: &Parts, ways: &[Way]) -> Result<Asked, Refusal> {
    let routes: Vec<&str> = ways.iter().flat_map(|way| way.routes()).copied().collect();
    let refuse = |detail: String| Refusal::new(Rule::Route, detail).with(Remedy::routes(&routes));
    let (method, uri) = (&parts.method, &parts.uri);
    if uri.scheme().is_some() || uri.authority().is_some() {
        return Err(refuse("the request names a host of its own".into()));
    }
    let found = ways.iter().find_map(|way| match way {
        Way::Model(model) => {
            let route = model.provider.routes().iter().position(|route| *route == uri.path())?;
            (method == Method::POST).then(|| Asked::Model(Arc::clone(model), route))
        }
    });
    found.ok_or_else(|| refuse(format!("{method} {} is not served", quoted(uri.path()))))
}

//! What is asked of a model: its head, its body, its price. Everything that is decided before anything leaves.

use crate::{
    entry::Entry,
    json,
    provider::{Head, Prompt},
    refusal::{Refusal, Rule},
    run::Run,
    usage::Worst,
    way::Model,
};
use borg_core::tariff::Tariff;
use http_body_util::{BodyExt, LengthLimitError, Limited};
use hyper::{
    body::{Bytes, Incoming},
    header::CONTENT_LENGTH,
    http::request::Parts,
};
use std::sync::Arc;
use tokio::time::timeout;

/// A request that may be forwarded, as far as its content goes.
pub(crate) struct Ready {
    pub model: Arc<Model>,
    pub head: Head,
    pub prompt: Prompt,
    pub tariff: Tariff,
    /// The most it can use if the budget pays for all the output it may ask for.
    pub worst: Worst,
    /// Index into [`Model::egress`].
    pub egress: usize,
}

/// Head, body, model, price, features, in this order.
pub(crate) async fn check(
    entry: &mut Entry,
    (model, route): (Arc<Model>, usize),
    parts: Parts,
    body: Incoming,
) -> Result<Ready, Refusal> {
    let run = Arc::clone(&entry.run);
    let head = model.provider.head(route, &parts)?;
    let text = read(&parts, body, &run).await?;
    let bytes = text.len();
    entry.row.bytes_in = bytes as u64;
    let value =
        json::parse(&text, run.limits.json_values).map_err(|error| Refusal::new(Rule::Json, error.to_string()))?;
    drop(text);
    let prompt = model.provider.prompt(&head, value, bytes)?;
    let name = &prompt.model;
    entry.row.model.clone_from(name);
    let place = model.egress.iter().position(|egress| egress.may_use(name));
    let no_model = || Refusal::at(Rule::Model, "/model".into(), format!("model `{name}` is not granted"));
    let place = place.ok_or_else(no_model)?;
    let egress = &model.egress[place];
    let no_price = || {
        let detail = format!("model `{name}` has no price in `[egress.{}]`", egress.name);
        Refusal::at(Rule::Price, "/model".into(), detail)
    };
    let tariff = egress.tariff(name, head.widens).ok_or_else(no_price)?;
    if let Some(feature) = head.features.iter().find(|feature| !egress.may_want(feature)) {
        let header = model.provider.feature_header();
        let detail = format!("`{header}: {feature}` is not listed in `[egress.{}]`", egress.name);
        return Err(Refusal::new(Rule::Beta, detail));
    }
    let worst = match prompt.output {
        Some(output) => Worst {
            input_tokens: prompt.weight.most(tariff.window),
            output_tokens: output.asked.min(egress.max_tokens).into(),
            kept: prompt.weight.kept,
        },
        None => Worst::NOTHING,
    };
    Ok(Ready { model: Arc::clone(&model), head, prompt, tariff, worst, egress: place })
}

/// The whole body, within its limits of size and time.
async fn read(parts: &Parts, body: Incoming, run: &Run) -> Result<Bytes, Refusal> {
    let most = run.limits.request_bytes;
    let too_big = || Refusal::new(Rule::BodySize, format!("the body is longer than {most} bytes"));
    let announced = parts.headers.get(CONTENT_LENGTH).and_then(|value| value.to_str().ok()?.parse::<u64>().ok());
    if announced.is_some_and(|length| length > most as u64) {
        return Err(too_big());
    }
    match timeout(run.limits.body_time, Limited::new(body, most).collect()).await {
        Ok(Ok(collected)) => Ok(collected.to_bytes()),
        Ok(Err(error)) if error.is::<LengthLimitError>() => Err(too_big()),
        Ok(Err(_)) => Err(Refusal::new(Rule::Body, "the body ended early or is malformed")),
        Err(_) => Err(Refusal::new(Rule::Body, "the body did not arrive in time")),
    }
}

//! One request from its head to its fate: everything that is decided before anything leaves. What is decided is recorded
//! before the client hears of it.
//!
//! A request is a task of its own, not part of its connection: a client that goes away must not take the ledger row of
//! what it tried, or the usage of what it asked for, with it.

use crate::{
    Fate, Row, Rule, exchange,
    firewall::{Route, head, json, messages, weight::Kept},
    meter::Worst,
    refusal::{Refusal, cap_message, quoted},
    response::{self, Body},
    run::{Counted, Run},
};
use borg_core::{
    budget::{Cap, MicroUsd},
    tariff::Tariff,
};
use http_body_util::{BodyExt, LengthLimitError, Limited};
use hyper::{
    Request, Response, StatusCode,
    body::{Bytes, Incoming},
    header::CONTENT_LENGTH,
    http::request::Parts,
};
use std::{collections::BTreeMap, sync::Arc, time::Instant};
use tokio::{sync::oneshot, time::timeout};

/// Where the response goes; closed when the client has gone.
pub(crate) type Answer = oneshot::Sender<Response<Body>>;

/// A request that may be forwarded, as far as its content goes.
pub(crate) struct Ready {
    pub head: head::Head,
    pub checked: messages::Checked,
    pub tariff: Tariff,
    /// The most it can use if the budget pays for all the output it may ask for.
    pub worst: Worst,
    /// Index into [`Run::egress`].
    pub egress: usize,
}

/// The ledger row of a request under way.
pub(crate) struct Entry {
    pub run: Arc<Run>,
    pub row: Row,
    /// While it has this, the end of its run waits for it.
    pub waited_for: Option<Counted>,
    began: Instant,
}

/// Why a request goes no further.
pub(crate) enum Stop {
    Refused(Refusal),
    Capped(Cap, String),
    /// The client went away before anything was forwarded.
    Gone,
}

/// Serves one request to its end, the ledger row included.
pub(crate) async fn serve(
    run: Arc<Run>,
    (peer, waited_for): (i32, Counted),
    request: Request<Incoming>,
    mut answer: Answer,
) {
    let (parts, body) = request.into_parts();
    let mut entry = Entry::open(&run, peer);
    entry.waited_for = Some(waited_for);
    entry.row.method = quoted(parts.method.as_str());
    entry.row.path = quoted(parts.uri.path_and_query().map_or(parts.uri.path(), |both| both.as_str()));
    let slot = tokio::select! {
        slot = run.slots.acquire() => slot,
        () = answer.closed() => return entry.stop(Stop::Gone, answer).await,
    };
    // The semaphore is never closed; a request without a slot would be one too many.
    let Ok(slot) = slot else { return };
    match check(&mut entry, parts, body).await {
        Ok(ready) => exchange::serve(entry, ready, answer, slot).await,
        Err(refusal) => entry.stop(Stop::Refused(refusal), answer).await,
    }
}

/// Head, body, model, betas, in this order.
async fn check(entry: &mut Entry, parts: Parts, body: Incoming) -> Result<Ready, Refusal> {
    let run = Arc::clone(&entry.run);
    let head = head::check(&parts.method, &parts.uri, &parts.headers, &run.placeholder)?;
    let text = read(&parts, body, &run).await?;
    let bytes = text.len();
    entry.row.bytes_in = bytes as u64;
    let value =
        json::parse(&text, run.limits.json_values).map_err(|error| Refusal::new(Rule::Json, error.to_string()))?;
    drop(text);
    let checked = messages::check(head.route, value)?;
    entry.row.model = checked.model.clone();
    let place = run.egress.iter().position(|egress| egress.may_use(&checked.model));
    let no_model = || Refusal::at(Rule::Model, "/model".into(), format!("model `{}` is not granted", checked.model));
    let place = place.ok_or_else(no_model)?;
    let egress = &run.egress[place];
    let no_price = || {
        let detail = format!("model `{}` has no price in `[egress.{}]`", checked.model, egress.name);
        Refusal::at(Rule::Price, "/model".into(), detail)
    };
    let tariff = egress.tariff(&checked.model, &head.betas).ok_or_else(no_price)?;
    head::check_betas(&head.betas, egress)?;
    let worst = match head.route {
        Route::Messages => {
            let weight = checked.weight(bytes);
            Worst {
                input_tokens: weight.most(tariff.window),
                output_tokens: checked.asked_tokens().min(egress.max_tokens).into(),
                kept: weight.kept,
            }
        }
        Route::CountTokens => Worst { input_tokens: 0, output_tokens: 0, kept: Kept::No },
    };
    Ok(Ready { head, checked, tariff, worst, egress: place })
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

impl Entry {
    pub fn open(run: &Arc<Run>, peer: i32) -> Entry {
        let row = Row {
            run: run.key,
            host: run.upstream.host.clone(),
            method: String::new(),
            path: String::new(),
            model: String::new(),
            status: 0,
            fate: Fate::Allowed,
            usage: None,
            cost: MicroUsd(0),
            notional: false,
            estimated: false,
            bytes_in: 0,
            bytes_out: 0,
            duration_ms: 0,
            subscription: BTreeMap::new(),
            held: None,
            peer_pid: peer,
        };
        Entry { run: Arc::clone(run), row, waited_for: None, began: Instant::now() }
    }

    /// Records a request that was not forwarded, then answers it.
    pub async fn stop(mut self, stop: Stop, answer: Answer) {
        let run = Arc::clone(&self.run);
        let host = run.upstream.host.clone();
        let ((status, response), fate) = match stop {
            Stop::Refused(refusal) => {
                let fate = Fate::Refused { rule: refusal.rule, pointer: refusal.pointer.clone() };
                (response::refused(&refusal, &host), fate)
            }
            Stop::Capped(cap, figure) => (response::capped(cap, &cap_message(cap, &figure)), Fate::Capped(cap)),
            Stop::Gone => {
                let refusal = Refusal::new(Rule::Shut, "the client has gone");
                (response::refused(&refusal, &host), Fate::Failed("the client went away first".into()))
            }
        };
        self.row.fate = fate;
        if run.is_shut() {
            let _ = answer.send(shut(&host));
            return;
        }
        match self.finish(status).await {
            Ok(()) => {
                run.count_refusal();
                // An error only means that the client has gone.
                let _ = answer.send(response);
            }
            Err(()) => {
                let _ = answer.send(shut(&host));
            }
        }
    }

    /// Records a refusal that was not a request yet.
    pub async fn refuse(mut self, rule: Rule, status: StatusCode) -> Result<(), ()> {
        let run = Arc::clone(&self.run);
        self.row.fate = Fate::Refused { rule, pointer: None };
        self.finish(status).await?;
        run.count_refusal();
        Ok(())
    }

    /// Records the row as it stands; an error means that the door is shut.
    pub async fn finish(mut self, status: StatusCode) -> Result<(), ()> {
        self.row.status = status.as_u16();
        self.row.duration_ms = u64::try_from(self.began.elapsed().as_millis()).unwrap_or(u64::MAX);
        self.run.record(self.row).await.map_err(|_| ())
    }
}

/// What everybody hears once the door is shut.
pub(crate) fn shut(host: &str) -> Response<Body> {
    let refusal = Refusal::new(
        Rule::Shut,
        "the door of this run is shut (failed ledger, too many refusals, or the end of the run)",
    );
    response::refused(&refusal, host).1
}

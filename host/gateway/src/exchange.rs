//! One forwarded request: budget, credential, provider, and back; then usage is settled and the row written.
//!
//! How one could get it wrong: forgetting a way out. Every path from a charge ends in `settle` or `refund`, and one that is
//! forgotten books the worst case (see `account.rs`). A request that may have reached the provider is never refunded
//! unless the provider itself answered that it failed. And the provider works on what it was asked whether or not the client waits for it:
//! so the head of its answer is waited for all the same, behind the run where that ends meanwhile (see `behind.rs`).

use crate::{
    Credential, Fate, Held, News, SecretError,
    account::{Ask, Charge},
    firewall::{Route, head::Head},
    meter::{Meter, Used},
    relay::{self, End},
    request::{Answer, Entry, Ready, Stop, shut},
    response::{self, Cut, Retry},
    run::Run,
    upstream::SendError,
};
use borg_core::{budget::MicroUsd, tariff::Tariff};
use futures_util::stream::poll_fn;
use http_body_util::{BodyExt, Limited, StreamBody};
use hyper::{
    HeaderMap, Response, StatusCode,
    body::{Bytes, Frame, Incoming},
    header::{CONTENT_ENCODING, CONTENT_TYPE},
};
use serde::Deserialize;
use std::{pin::pin, sync::Arc};
use tokio::{
    sync::{SemaphorePermit, mpsc},
    time::timeout,
};

/// Longest error body that is read.
const ERROR_BYTES: usize = 64 << 10;

/// Why there is no response of the provider's to pass on.
enum Failure {
    NoCredential {
        secret: String,
        why: String,
    },
    /// Since its budget was held, the credential became one of another kind: what was held does not fit it.
    Changed,
    Send(SendError),
    Silent,
    /// The door was shut before anything left.
    Shut,
}

/// What is left of a request once its body is on the way.
struct Sending {
    head: Head,
    tariff: Tariff,
    /// The most it can use.
    worst: Used,
    /// True where a subscription pays, and its money counts for nothing.
    notional: bool,
    /// Index into [`Run::egress`].
    egress: usize,
}

impl Sending {
    /// The request with its output limited to what the account held for it, and its body.
    fn of(ready: Ready, worst: Used, notional: bool) -> (Sending, Bytes) {
        let Ready { head, mut checked, tariff, worst: _, egress } = ready;
        if head.route == Route::Messages {
            checked.limit_tokens(u32::try_from(worst.usage.output_tokens).unwrap_or(u32::MAX));
        }
        let sending = Sending { head, tariff, worst, notional, egress };
        (sending, Bytes::from(checked.into_bytes()))
    }
}

/// Holds its slot of the run until it is recorded, or nobody waits for it any more.
pub(crate) async fn serve(mut entry: Entry, ready: Ready, mut answer: Answer, slot: SemaphorePermit<'_>) {
    let mut slot = Some(slot);
    let run = Arc::clone(&entry.run);
    if run.is_shut() || answer.is_closed() {
        return entry.stop(Stop::Gone, answer).await;
    }
    let turns = match ready.head.route {
        Route::Messages => 1,
        Route::CountTokens => 0,
    };
    // Who pays is known before anything is held: a subscription's money is not.
    let egress = &run.egress[ready.egress];
    let credential = run.secrets.get(&egress.secret).await;
    let notional = credential.as_ref().is_ok_and(|credential| egress.is_notional(credential));
    let (least, tariff) = (ready.checked.least_tokens(), ready.tariff);
    let ask = Ask { turns, worst: ready.worst, least, tariff, notional };
    let charge = tokio::select! {
        charge = run.account.charge(ask, run.limits.response_time) => charge,
        () = answer.closed() => return entry.stop(Stop::Gone, answer).await,
    };
    let mut charge = match charge {
        Ok(charge) => charge,
        Err((cap, figure)) => return entry.stop(Stop::Capped(cap, figure), answer).await,
    };
    let (sending, body) = Sending::of(ready, charge.most(), notional);
    let sent = {
        let mut sending = pin!(send(&run, &sending, body, credential));
        tokio::select! {
            sent = &mut sending => sent,
            () = answer.closed() => {
                let left = async {
                    leave_behind(&mut entry, &mut charge, turns).await;
                    // What it may cost is held; its place is free for those that somebody waits for.
                    slot.take();
                };
                tokio::join!(left, &mut sending).1
            }
        }
    };
    if let Ok((response, _)) = &sent {
        entry.row.subscription = response::subscription(response.headers());
    }
    match sent {
        Ok((response, credential)) if response.status() == StatusCode::OK => {
            if response.headers().get(CONTENT_ENCODING).is_some_and(|coding| coding != "identity") {
                let message = "borg: the model provider sent a compressed response, which cannot be metered";
                entry.row.fate = Fate::Failed("compressed response".into());
                settle(&mut entry, charge, &sending, sending.worst);
                return entry.close(StatusCode::BAD_GATEWAY, message, Retry::Never, answer).await;
            }
            drop(credential);
            pass(entry, sending, charge, response, answer).await;
        }
        Ok((response, credential)) => explain(entry, sending, charge, response, &credential, answer).await,
        Err(failure) => fail(entry, sending, charge, failure, answer).await,
    }
}

/// The client has gone, and the head of the answer has not come: it is waited for, but nobody waits for that. What the request may cost is
/// told to whoever keeps the task's account, and only then is the run let go.
async fn leave_behind(entry: &mut Entry, charge: &mut Charge, turns: u32) {
    // A count of tokens costs nothing.
    if turns > 0 {
        let run = Arc::clone(&entry.run);
        let (request, word) = run.behind.enter(run.key);
        charge.tell(word);
        entry.row.held = Some(request);
        run.hold(Held { run: run.key, request, model: entry.row.model.clone(), most: charge.most_spent() }).await;
    }
    entry.waited_for = None;
}

/// Sends with this credential; once more with the next one if the provider rejects it. Gives up after the response time.
async fn send(
    run: &Run,
    sending: &Sending,
    body: Bytes,
    first: Result<Credential, SecretError>,
) -> Result<(Response<Incoming>, Credential), Failure> {
    let secret = run.egress[sending.egress].secret.as_str();
    let mut first = Some(first);
    loop {
        let (credential, again) = match first.take() {
            Some(first) => (first, true),
            None => (run.secrets.get(secret).await, false),
        };
        let credential =
            credential.map_err(|error| Failure::NoCredential { secret: secret.into(), why: error.to_string() })?;
        if run.egress[sending.egress].is_notional(&credential) != sending.notional {
            return Err(Failure::Changed);
        }
        // Nothing leaves any more once the run is over; what left before is waited for.
        if run.is_shut() {
            return Err(Failure::Shut);
        }
        let sending = run.upstream.send(&sending.head, &credential, body.clone());
        let response =
            timeout(run.limits.response_time, sending).await.map_err(|_| Failure::Silent)?.map_err(Failure::Send)?;
        if response.status() != StatusCode::UNAUTHORIZED || !again {
            return Ok((response, credential));
        }
        run.secrets.rejected(secret).await;
    }
}

/// Passes a good response on while it is metered.
async fn pass(mut entry: Entry, sending: Sending, charge: Charge, upstream: Response<Incoming>, answer: Answer) {
    let run = Arc::clone(&entry.run);
    let (parts, body) = upstream.into_parts();
    let kind = parts.headers.get(CONTENT_TYPE).and_then(|kind| kind.to_str().ok()).unwrap_or_default();
    let is_stream = kind.starts_with("text/event-stream");
    let mut meter = if is_stream { Meter::stream() } else { Meter::whole() };
    // One piece on its way at most: nothing is buffered, and a slow client slows the provider down.
    let (mut pieces, mut taken) = mpsc::channel::<Result<_, Cut>>(1);
    let pieces_in = poll_fn(move |cx| taken.poll_recv(cx).map_ok(Frame::data));
    let mut response = Response::new(StreamBody::new(pieces_in).boxed_unsync());
    response::pass_headers(&parts.headers, response.headers_mut());
    // A client that has gone already is noticed by the relay.
    let _ = answer.send(response);
    let relayed = relay::relay(body, &mut pieces, &mut meter, &run.limits).await;
    entry.row.bytes_out = relayed.bytes_out;
    let may_append = meter.may_append();
    match sending.head.route {
        Route::Messages => settle(&mut entry, charge, &sending, meter.settle(&sending.worst)),
        Route::CountTokens => charge.settle(Used::default().usage, Used::default().cost(&sending.tariff)),
    }
    let complaint = match relayed.end {
        End::Complete | End::ClientGone => None,
        End::Dropped => Some("the model provider dropped the connection"),
        End::Silent => Some("the model provider went silent"),
    };
    if let Some(why) = complaint.or(entry.row.estimated.then_some("the response ended without its usage")) {
        entry.row.fate = Fate::Failed(why.into());
    }
    let recorded = entry.finish(StatusCode::OK).await;
    // The body ends well when its sender is dropped. The client sees the end only once the row is durable.
    match (recorded, complaint) {
        (Ok(()), None) => {}
        (Ok(()), Some(complaint)) if may_append => {
            let _ = pieces.send(Ok(response::error_event(&format!("borg: {complaint}")))).await;
        }
        (Ok(()), Some(_)) | (Err(()), _) => {
            let _ = pieces.send(Err(Cut)).await;
        }
    }
}

/// Passes an error of the provider's on: its kind and message, not its bytes.
async fn explain(
    mut entry: Entry,
    sending: Sending,
    charge: Charge,
    upstream: Response<Incoming>,
    credential: &Credential,
    answer: Answer,
) {
    let run = Arc::clone(&entry.run);
    let (parts, body) = upstream.into_parts();
    let status = parts.status;
    if !status.is_client_error() && !status.is_server_error() {
        let message =
            format!("borg: the model provider answered with status {}, which is not understood", status.as_u16());
        entry.row.fate = Fate::Failed(format!("status {}", status.as_u16()));
        settle(&mut entry, charge, &sending, sending.worst);
        return entry.close(StatusCode::BAD_GATEWAY, &message, Retry::Never, answer).await;
    }
    charge.refund();
    if status == StatusCode::UNAUTHORIZED {
        let secret = run.egress[sending.egress].secret.clone();
        let message =
            format!("borg: the model provider rejected the host's credential `{secret}`; an operator has to renew it");
        run.tell(News::CredentialRejected { secret });
        let response = response::error(status, "authentication_error", &message, Retry::Never);
        return entry.answer(status, response, answer).await;
    }
    if status == StatusCode::TOO_MANY_REQUESTS || status.as_u16() == 529 {
        run.tell(News::RetryAfter { ms: response::retry_after_ms(&parts.headers) });
    }
    let (kind, message) = read_error(body, &parts.headers, &run)
        .await
        .filter(|(kind, message)| ![kind, message].iter().any(|text| text.contains(credential.secret().expose())))
        .unwrap_or_else(|| {
            ("api_error".into(), format!("the model provider answered with status {}", status.as_u16()))
        });
    let mut response = response::error(status, &kind, &message, Retry::Open);
    let own = response.headers().clone();
    response::pass_headers(&parts.headers, response.headers_mut());
    response.headers_mut().extend(own);
    entry.answer(status, response, answer).await;
}

/// Answers for a provider that did not.
async fn fail(mut entry: Entry, sending: Sending, charge: Charge, failure: Failure, answer: Answer) {
    let run = Arc::clone(&entry.run);
    let worst = sending.worst;
    let (status, message, retry) = match failure {
        Failure::NoCredential { secret, why } => {
            charge.refund();
            let message = format!("the host has no usable credential `{secret}`: {why}");
            run.tell(News::NoCredential { secret, why });
            (StatusCode::FORBIDDEN, message, Retry::Never)
        }
        Failure::Changed => {
            charge.refund();
            let message = "the host's credential was exchanged for one of another kind just now; ask again";
            (StatusCode::BAD_GATEWAY, message.into(), Retry::Open)
        }
        Failure::Send(error @ SendError::Credential) => {
            charge.refund();
            (StatusCode::FORBIDDEN, error.to_string(), Retry::Never)
        }
        Failure::Send(error @ SendError::Connect) => {
            charge.refund();
            (StatusCode::BAD_GATEWAY, error.to_string(), Retry::Open)
        }
        Failure::Send(error @ SendError::Lost) => {
            settle(&mut entry, charge, &sending, worst);
            (StatusCode::BAD_GATEWAY, error.to_string(), Retry::Open)
        }
        Failure::Silent => {
            settle(&mut entry, charge, &sending, worst);
            let seconds = run.limits.response_time.as_secs();
            let message = format!("the model provider gave no answer within {seconds} s");
            (StatusCode::GATEWAY_TIMEOUT, message, Retry::Open)
        }
        Failure::Shut => {
            charge.refund();
            (StatusCode::FORBIDDEN, "the run ended before the request was sent".into(), Retry::Never)
        }
    };
    entry.row.fate = Fate::Failed(message.clone());
    entry.close(status, &format!("borg: {message}"), retry, answer).await;
}

/// Books what was used, in the account and in the row.
fn settle(entry: &mut Entry, charge: Charge, sending: &Sending, used: Used) {
    let cost = used.cost(&sending.tariff);
    entry.row.usage = Some(used.usage);
    entry.row.cost = cost;
    entry.row.notional = sending.notional;
    entry.row.estimated = used.estimated;
    charge.settle(used.usage, if sending.notional { MicroUsd(0) } else { cost });
}

impl Entry {
    /// Records, then answers with an error of ours.
    async fn close(self, status: StatusCode, message: &str, retry: Retry, answer: Answer) {
        let kind = if status == StatusCode::FORBIDDEN { "permission_error" } else { "api_error" };
        self.answer(status, response::error(status, kind, message, retry), answer).await;
    }

    /// Records, then answers.
    async fn answer(self, status: StatusCode, response: Response<response::Body>, answer: Answer) {
        let host = self.run.upstream.host.clone();
        let response = match self.finish(status).await {
            Ok(()) => response,
            Err(()) => shut(&host),
        };
        // An error only means that the client has gone.
        let _ = answer.send(response);
    }
}

/// Kind and message of an error body in the provider's form.
async fn read_error(body: Incoming, headers: &HeaderMap, run: &Run) -> Option<(String, String)> {
    #[derive(Deserialize)]
    struct Outer {
        error: Inner,
    }
    #[derive(Deserialize)]
    struct Inner {
        #[serde(rename = "type")]
        kind: String,
        message: String,
    }
    if headers.get(CONTENT_ENCODING).is_some_and(|coding| coding != "identity") {
        return None;
    }
    let text = timeout(run.limits.idle_time, Limited::new(body, ERROR_BYTES).collect()).await.ok()?.ok()?.to_bytes();
    let outer: Outer = serde_json::from_slice(&text).ok()?;
    Some((outer.error.kind, outer.error.message))
}

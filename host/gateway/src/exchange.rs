//! One forwarded request: budget, credential, provider, and back; then usage is settled and the row written.
//!
//! How one could get it wrong: forgetting a way out. Every path from a charge ends in `settle` or `refund`, and one that is
//! forgotten books the worst case (see `account.rs`). A request that may have reached the provider is never refunded
//! unless the provider itself answered that it failed. And the provider works on what it was asked whether or not the client waits for it:
//! so the head of its answer is waited for all the same, behind the run where that ends meanwhile (see `behind.rs`).

use crate::{
    Credential, Fate, Held, News, SecretError,
    access::Egress,
    account::{Ask, Charge},
    entry::{Answer, Entry, Stop},
    prompt::Ready,
    provider::Head,
    relay::{self, End},
    run::Run,
    say::{Cut, Retry, Said, Told},
    upstream::SendError,
    usage::Used,
    way::Model,
};
use borg_core::{budget::MicroUsd, tariff::Tariff};
use futures_util::stream::poll_fn;
use http_body_util::{BodyExt, Limited, StreamBody};
use hyper::{
    HeaderMap, Response, StatusCode,
    body::{Bytes, Frame, Incoming},
    header::CONTENT_ENCODING,
};
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
    /// It holds characters that no header can carry.
    Unsendable,
    Send(SendError),
    Silent,
    /// The door was shut before anything left.
    Shut,
}

/// What is left of a request once its body is on the way.
struct Sending {
    model: Arc<Model>,
    head: Head,
    tariff: Tariff,
    /// The most it can use.
    worst: Used,
    /// False where no model is made to work, so that nothing is used.
    works: bool,
    /// True where a subscription pays, and its money counts for nothing.
    notional: bool,
    /// Index into [`Model::egress`].
    egress: usize,
}

impl Sending {
    /// The request with its output limited to what the account held for it, and its body.
    fn of(ready: Ready, worst: Used, notional: bool) -> (Sending, Bytes) {
        let Ready { model, head, prompt, tariff, worst: _, egress } = ready;
        let (mut body, works) = (prompt.body, prompt.output.is_some());
        if works {
            model.provider.limit(&mut body, u32::try_from(worst.usage.output_tokens).unwrap_or(u32::MAX));
        }
        let sending = Sending { model, head, tariff, worst, works, notional, egress };
        (sending, Bytes::from(body.to_string()))
    }

    fn egress(&self) -> &Egress {
        &self.model.egress[self.egress]
    }
}

/// True where money paid with this credential counts for nothing.
fn is_notional(egress: &Egress, credential: &Credential) -> bool {
    !egress.counts_subscription && egress.provider.is_subscription(credential)
}

/// Holds its slot of the run until it is recorded, or nobody waits for it any more.
pub(crate) async fn serve(mut entry: Entry, ready: Ready, mut answer: Answer, slot: SemaphorePermit<'_>) {
    let mut slot = Some(slot);
    let run = Arc::clone(&entry.run);
    if run.is_shut() || answer.is_closed() {
        return entry.stop(Stop::Gone, answer).await;
    }
    // Who pays is known before anything is held: a subscription's money is not.
    let (model, output) = (Arc::clone(&ready.model), ready.prompt.output);
    let egress = &model.egress[ready.egress];
    let credential = run.secrets.get(&egress.secret).await;
    let notional = credential.as_ref().is_ok_and(|credential| is_notional(egress, credential));
    let (turns, least) = output.map_or((0, 0), |output| (1, output.least));
    let ask = Ask { turns, worst: ready.worst, least, tariff: ready.tariff, notional };
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
        entry.row.subscription = model.provider.subscription(response.headers());
    }
    match sent {
        Ok((response, credential)) if response.status() == StatusCode::OK => {
            if response.headers().get(CONTENT_ENCODING).is_some_and(|coding| coding != "identity") {
                let message = "borg: the model provider sent a compressed response, which cannot be metered";
                entry.row.fate = Fate::Failed("compressed response".into());
                settle(&mut entry, charge, &sending, sending.worst);
                let status = StatusCode::BAD_GATEWAY;
                return close(entry, &Said::Failed { status, message, retry: Retry::Never }, answer).await;
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
    let secret = sending.egress().secret.as_str();
    let mut first = Some(first);
    loop {
        let (credential, again) = match first.take() {
            Some(first) => (first, true),
            None => (run.secrets.get(secret).await, false),
        };
        let credential =
            credential.map_err(|error| Failure::NoCredential { secret: secret.into(), why: error.to_string() })?;
        if is_notional(sending.egress(), &credential) != sending.notional {
            return Err(Failure::Changed);
        }
        // Nothing leaves any more once the run is over; what left before is waited for.
        if run.is_shut() {
            return Err(Failure::Shut);
        }
        let headers = sending.model.provider.headers(&sending.head, &credential).map_err(|_| Failure::Unsendable)?;
        let sent = sending.model.upstream.send(&sending.head.target, headers, body.clone());
        let response =
            timeout(run.limits.response_time, sent).await.map_err(|_| Failure::Silent)?.map_err(Failure::Send)?;
        if response.status() != StatusCode::UNAUTHORIZED || !again {
            return Ok((response, credential));
        }
        run.secrets.rejected(secret).await;
    }
}

/// Passes a good response on while it is metered.
async fn pass(mut entry: Entry, sending: Sending, charge: Charge, upstream: Response<Incoming>, answer: Answer) {
    let run = Arc::clone(&entry.run);
    let provider = sending.model.provider;
    let (parts, body) = upstream.into_parts();
    let mut meter = provider.meter(&parts.headers);
    // One piece on its way at most: nothing is buffered, and a slow client slows the provider down.
    let (mut pieces, mut taken) = mpsc::channel::<Result<_, Cut>>(1);
    let pieces_in = poll_fn(move |cx| taken.poll_recv(cx).map_ok(Frame::data));
    let mut response = Response::new(StreamBody::new(pieces_in).boxed_unsync());
    pass_headers(&sending.model, &parts.headers, response.headers_mut());
    // A client that has gone already is noticed by the relay.
    let _ = answer.send(response);
    let relayed = relay::relay(body, &mut pieces, &mut *meter, &run.limits).await;
    entry.row.bytes_out = relayed.bytes_out;
    let may_append = meter.may_append();
    match sending.works {
        true => settle(&mut entry, charge, &sending, meter.settle(&sending.worst)),
        false => charge.settle(Used::default().usage, MicroUsd(0)),
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
            let _ = pieces.send(Ok(provider.say_in_stream(&format!("borg: {complaint}")))).await;
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
    let provider = sending.model.provider;
    let (parts, body) = upstream.into_parts();
    let status = parts.status;
    if !status.is_client_error() && !status.is_server_error() {
        let message =
            format!("borg: the model provider answered with status {}, which is not understood", status.as_u16());
        entry.row.fate = Fate::Failed(format!("status {}", status.as_u16()));
        settle(&mut entry, charge, &sending, sending.worst);
        let said = Said::Failed { status: StatusCode::BAD_GATEWAY, message: &message, retry: Retry::Never };
        return close(entry, &said, answer).await;
    }
    charge.refund();
    if status == StatusCode::UNAUTHORIZED {
        let secret = sending.egress().secret.clone();
        let message =
            format!("borg: the model provider rejected the host's credential `{secret}`; an operator has to renew it");
        run.tell(News::CredentialRejected { secret });
        return close(entry, &Said::Failed { status, message: &message, retry: Retry::Never }, answer).await;
    }
    if let Some(pause) = provider.pause(status, &parts.headers) {
        run.tell(News::RetryAfter { ms: pause.ms });
    }
    let told = read_error(body, &parts.headers, (&sending.model, &run))
        .await
        .filter(|told| ![&told.kind, &told.message].iter().any(|text| text.contains(credential.secret().expose())));
    let mut response = entry.say(&Said::Theirs { status, told });
    let own = response.headers().clone();
    pass_headers(&sending.model, &parts.headers, response.headers_mut());
    response.headers_mut().extend(own);
    entry.answer(response, answer).await;
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
        Failure::Unsendable => {
            charge.refund();
            let message = "the credential holds characters that no header can carry";
            (StatusCode::FORBIDDEN, message.into(), Retry::Never)
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
    close(entry, &Said::Failed { status, message: &format!("borg: {message}"), retry }, answer).await;
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

/// Records, then answers in words of ours.
async fn close(entry: Entry, said: &Said<'_>, answer: Answer) {
    let response = entry.say(said);
    entry.answer(response, answer).await;
}

/// Copies what may be passed on of the provider's headers.
fn pass_headers(model: &Model, from: &HeaderMap, to: &mut HeaderMap) {
    for (name, value) in from.iter().filter(|(name, _)| model.provider.passes(name.as_str())) {
        to.append(name, value.clone());
    }
}

/// What an error body says, within limits of size and time.
async fn read_error(body: Incoming, headers: &HeaderMap, (model, run): (&Model, &Run)) -> Option<Told> {
    if headers.get(CONTENT_ENCODING).is_some_and(|coding| coding != "identity") {
        return None;
    }
    let text = timeout(run.limits.idle_time, Limited::new(body, ERROR_BYTES).collect()).await.ok()?.ok()?.to_bytes();
    model.provider.error(&text)
}

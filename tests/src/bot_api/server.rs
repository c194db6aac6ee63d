//! Connections: a call is read, recorded, struck by a fault if one was ordered, done, and answered as the real server answers.

use super::{
    Shared,
    faults::Fault,
    ids::ChatId,
    methods,
    params::{Params, decoded},
    poll,
    record::Answer,
    refusal::Refusal,
    watched::Watched,
};
use http_body_util::{BodyExt, Full, Limited};
use hyper::{
    Request, Response, StatusCode,
    body::{Bytes, Incoming},
    header::{CONTENT_TYPE, HeaderValue, RETRY_AFTER},
    service::service_fn,
};
use hyper_util::rt::TokioIo;
use serde_json::{Value, json};
use std::sync::{
    Arc,
    atomic::{AtomicBool, Ordering},
};
use tokio::net::{TcpListener, TcpStream};

/// Larger requests are refused.
const BODY_LIMIT: usize = 64 << 20;

/// Ends a connection without an answer.
#[derive(Debug, thiserror::Error)]
#[error("the connection is dropped by order")]
struct Dropped;

type Reply = Result<Response<Full<Bytes>>, Dropped>;

pub(super) async fn serve(listener: TcpListener, shared: Arc<Shared>) {
    let mut number = 0;
    while let Ok((stream, _)) = listener.accept().await {
        number += 1;
        tokio::spawn(connection(stream, number, shared.clone()));
    }
}

async fn connection(stream: TcpStream, number: u64, shared: Arc<Shared>) {
    // Without this answers wait for the other side's acknowledgements.
    let _ = stream.set_nodelay(true);
    let mut cut = shared.cut.subscribe();
    cut.borrow_and_update();
    let service = service_fn(|request| handle(shared.clone(), number, request));
    let reset = Arc::new(AtomicBool::new(false));
    let stream = TokioIo::new(Watched { stream, reset: reset.clone() });
    let serving = hyper::server::conn::http1::Builder::new().serve_connection(stream, service);
    let broken = tokio::select! {
        ended = serving => ended.is_err() || reset.load(Ordering::Relaxed),
        _ = cut.changed() => true,
    };
    if broken {
        shared.change(|state| state.calls.broken(number));
    }
}

/// Notes in the record that nobody waits for the answer any more.
struct Waiting<'a> {
    shared: &'a Shared,
    n: u64,
}

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        self.shared.change(|state| {
            let call = state.calls.get_mut(self.n);
            if call.answer == Answer::Open {
                call.answer = Answer::Lost;
            }
        });
    }
}

async fn handle(shared: Arc<Shared>, connection: u64, request: Request<Incoming>) -> Reply {
    let path = decoded(request.uri().path());
    if let Some(path) = path.strip_prefix("/file/bot") {
        return Ok(download(&shared, path));
    }
    let Some((token, method)) = path.strip_prefix("/bot").and_then(|rest| rest.split_once('/')) else {
        return Ok(refused(&Refusal::new(404, "Not Found")));
    };
    let (parts, body) = request.into_parts();
    let content_type = parts.headers.get(CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or("");
    let params = match Limited::new(body, BODY_LIMIT).collect().await {
        Ok(body) => Params::read(parts.uri.query(), content_type, &body.to_bytes()),
        Err(_) => Err(Refusal::new(413, "Request Entity Too Large")),
    };
    let shown = params.as_ref().map_or(Value::Null, Params::shown);
    let n = shared.change(|state| {
        let at = state.clock.elapsed();
        state.calls.arrive(connection, method, shown, at)
    });
    let waiting = Waiting { shared: &shared, n };
    let reply = match params {
        Ok(params) => answer(&shared, n, token, &method.to_ascii_lowercase(), &params).await,
        Err(refusal) => Ok(finish(&shared, n, Err(refusal))),
    };
    if reply.is_ok() {
        shared.change(|state| state.calls.get_mut(n).answer = Answer::Sent);
    }
    drop(waiting);
    reply
}

async fn answer(shared: &Shared, n: u64, token: &str, method: &str, params: &Params) -> Reply {
    let fault = {
        let mut state = shared.state();
        if let Some(refusal) = state.bars(token) {
            drop(state);
            return Ok(finish(shared, n, Err(refusal)));
        }
        let chat: Option<ChatId> = state.named(&params.text("chat_id"));
        let now = state.clock.elapsed();
        state.faults.strike(method, chat, now)
    };
    match fault {
        None => {
            let done = run(shared, n, method, params).await;
            Ok(finish(shared, n, done))
        }
        Some(Fault::TooMany { retry_after_s }) => Ok(finish(shared, n, Err(Refusal::too_many(retry_after_s)))),
        Some(Fault::Unauthorized) => Ok(finish(shared, n, Err(Refusal::unauthorized()))),
        Some(Fault::Refuse { code, description }) => Ok(finish(shared, n, Err(Refusal::new(code, description)))),
        Some(Fault::Gateway(code)) => Ok(gateway(shared, n, code)),
        Some(Fault::DropBefore) => Err(Dropped),
        Some(Fault::Stall) if method == "getupdates" => std::future::pending().await,
        Some(Fault::Stall) => {
            let _unanswered = run(shared, n, method, params).await;
            std::future::pending().await
        }
        Some(Fault::GatewayAfter(code)) => {
            let _unanswered = run(shared, n, method, params).await;
            Ok(gateway(shared, n, code))
        }
        Some(Fault::DropAfter) => {
            let _unanswered = run(shared, n, method, params).await;
            Err(Dropped)
        }
        Some(Fault::Slow(time)) => {
            let done = run(shared, n, method, params).await;
            tokio::time::sleep(time).await;
            Ok(finish(shared, n, done))
        }
        Some(Fault::Malformed) => {
            let done = run(shared, n, method, params).await;
            let whole = finish(shared, n, done).into_body().collect().await;
            let Ok(whole) = whole.map(http_body_util::Collected::to_bytes);
            Ok(json_response(StatusCode::OK, whole.slice(..whole.len() / 2)))
        }
    }
}

async fn run(shared: &Shared, n: u64, method: &str, params: &Params) -> methods::Done {
    let done = if method == "getupdates" {
        poll::get_updates(shared, params).await
    } else {
        shared.change(|state| methods::call(state, n, method, params))
    };
    shared.change(|state| state.calls.get_mut(n).accepted = done.is_ok());
    done
}

/// Notes the outcome and writes it down.
fn finish(shared: &Shared, n: u64, done: methods::Done) -> Response<Full<Bytes>> {
    match done {
        Ok(mut result) => {
            let mut state = shared.state();
            state.calls.get_mut(n).status = 200;
            if state.unknown_fields {
                add_unknown(&mut result);
            }
            drop(state);
            json_response(StatusCode::OK, json!({ "ok": true, "result": result }).to_string())
        }
        Err(refusal) => {
            let mut state = shared.state();
            let call = state.calls.get_mut(n);
            (call.status, call.refused) = (refusal.code, Some(refusal.description.clone()));
            refused(&refusal)
        }
    }
}

fn refused(refusal: &Refusal) -> Response<Full<Bytes>> {
    let status = StatusCode::from_u16(refusal.code).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    let mut response = json_response(status, refusal.body().to_string());
    if let Some(seconds) = refusal.retry_after_s {
        response.headers_mut().insert(RETRY_AFTER, HeaderValue::from(seconds));
    }
    response
}

fn json_response(status: StatusCode, body: impl Into<Bytes>) -> Response<Full<Bytes>> {
    let mut response = Response::new(Full::new(body.into()));
    *response.status_mut() = status;
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    response
}

/// What stands before the server answers when it does not.
fn gateway(shared: &Shared, n: u64, code: u16) -> Response<Full<Bytes>> {
    shared.change(|state| state.calls.get_mut(n).status = code);
    let status = StatusCode::from_u16(code).unwrap_or(StatusCode::BAD_GATEWAY);
    let title = format!("{code} {}", status.canonical_reason().unwrap_or(""));
    let page = format!(
        "<html>\r\n<head><title>{title}</title></head>\r\n<body>\r\n<center><h1>{title}</h1></center>\r\n<hr><center>nginx/1.18.0</center>\r\n\
         </body>\r\n</html>\r\n"
    );
    let mut response = json_response(status, page);
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("text/html"));
    response
}

fn download(shared: &Shared, path: &str) -> Response<Full<Bytes>> {
    let state = shared.state();
    let Some((token, path)) = path.split_once('/') else { return refused(&Refusal::new(404, "Not Found")) };
    if let Some(refusal) = state.bars(token) {
        return refused(&refusal);
    }
    match state.files.at(path) {
        Some(file) => {
            let mut response = json_response(StatusCode::OK, file.bytes.clone());
            response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("application/octet-stream"));
            response
        }
        None => refused(&Refusal::new(404, "Not Found")),
    }
}

fn add_unknown(value: &mut Value) {
    match value {
        Value::Array(items) => items.iter_mut().for_each(add_unknown),
        Value::Object(fields) => {
            fields.values_mut().for_each(add_unknown);
            fields.insert("field_of_tomorrow".into(), json!({ "since": "tomorrow" }));
        }
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
    }
}

impl super::state::State {
    /// Why a token is not let in.
    fn bars(&self, token: &str) -> Option<Refusal> {
        if !token.contains(':') {
            return Some(Refusal::new(404, "Not Found"));
        }
        (self.revoked || token != self.token).then(Refusal::unauthorized)
    }
}

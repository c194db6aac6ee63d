//! Puts an answer on the wire, whole or streamed, with the fault the script wants. Decides nothing.

use super::{
    Shared,
    error::set,
    play::Answer,
    script::{FaultKind, Usage},
    stream::Event,
};
use axum::{
    Json,
    body::Body,
    response::{IntoResponse, Response},
};
use futures_util::stream;
use std::{collections::VecDeque, io, sync::Arc, time::Duration};

/// One thing the connection does.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Step {
    Send(Vec<u8>),
    Pause(Duration),
    /// Ends the connection without ending the body.
    Cut,
    /// Keeps the connection open and says nothing more.
    Hang,
}

pub(super) async fn answer(shared: Arc<Shared>, n: u64, answer: Answer, request_id: &str) -> Response {
    let mut response = match answer {
        Answer::Count(count) => {
            shared.note(n, |seen| seen.status = 200);
            Json(count).into_response()
        }
        Answer::Message { fault: Some(FaultKind::Silence), .. } => std::future::pending().await,
        Answer::Message { message, streamed, fault } => {
            if fault == Some(FaultKind::Held) {
                shared.is_let_go().await;
            }
            let (frames, kind) = if streamed {
                (message.events().iter().map(Event::frame).collect(), "text/event-stream; charset=utf-8")
            } else {
                (vec![message.whole().to_string()], "application/json")
            };
            let mut steps = steps(frames, fault.as_ref());
            if shared.torn {
                steps = tear(steps);
            }
            shared.note(n, |seen| seen.status = 200);
            let mut response = Response::new(body(shared, n, steps, message.usage));
            set(&mut response, "content-type", kind);
            set(&mut response, "cache-control", "no-cache");
            response
        }
    };
    set(&mut response, "request-id", request_id);
    set(&mut response, "anthropic-organization-id", "00000000-0000-4000-8000-000000000000");
    response
}

fn steps(frames: Vec<String>, fault: Option<&FaultKind>) -> Vec<Step> {
    let send = |frame: &String| Step::Send(frame.clone().into_bytes());
    let until = |n: usize| n.min(frames.len() - 1);
    let first = |n: usize| frames[..until(n)].iter().map(send);
    match fault {
        None | Some(FaultKind::Status { .. } | FaultKind::Silence | FaultKind::Held) => {
            frames.iter().map(send).collect()
        }
        Some(FaultKind::Drop { after_events }) => {
            let torn = &frames[until(*after_events)];
            first(*after_events).chain([Step::Send(torn.as_bytes()[..torn.len() / 2].to_vec()), Step::Cut]).collect()
        }
        Some(FaultKind::Stall { after_events }) => first(*after_events).chain([Step::Hang]).collect(),
        Some(FaultKind::StreamError { after_events }) => {
            let error = Event::error("overloaded_error", "Overloaded").frame();
            first(*after_events).chain([Step::Send(error.into_bytes())]).collect()
        }
        Some(FaultKind::Slow { delay_ms }) => {
            let pause = Step::Pause(Duration::from_millis(*delay_ms));
            frames.iter().flat_map(|frame| [pause.clone(), send(frame)]).collect()
        }
        Some(FaultKind::Malformed { after_events }) => {
            let broken = Step::Send(b"event: content_block_delta\ndata: {\"type\":\"content_bl\n\n".to_vec());
            first(*after_events).chain([broken]).chain(frames[until(*after_events)..].iter().map(send)).collect()
        }
    }
}

fn tear(steps: Vec<Step>) -> Vec<Step> {
    let torn = steps.into_iter().flat_map(|step| match step {
        Step::Send(bytes) => bytes.chunks(7).map(|piece| Step::Send(piece.to_vec())).collect(),
        step @ (Step::Pause(_) | Step::Cut | Step::Hang) => vec![step],
    });
    torn.collect()
}

fn body(shared: Arc<Shared>, n: u64, steps: Vec<Step>, usage: Usage) -> Body {
    let start = (shared, VecDeque::from(steps));
    Body::from_stream(stream::unfold(start, move |(shared, mut steps)| async move {
        loop {
            match steps.pop_front() {
                Some(Step::Send(bytes)) => {
                    // Noted with the last piece, not after it: a client may ask as soon as it has everything.
                    if steps.is_empty() {
                        shared.note(n, |seen| seen.billed = Some(usage));
                    }
                    return Some((Ok(bytes), (shared, steps)));
                }
                Some(Step::Pause(pause)) => tokio::time::sleep(pause).await,
                Some(Step::Cut) => {
                    // Waiting once lets the server flush what came before; it would throw that away with the connection.
                    tokio::task::yield_now().await;
                    return Some((Err(io::Error::from(io::ErrorKind::ConnectionReset)), (shared, steps)));
                }
                Some(Step::Hang) => std::future::pending().await,
                None => return None,
            }
        }
    }))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn frames() -> Vec<String> {
        ["one\n\n", "two\n\n", "three is longer\n\n"].map(String::from).to_vec()
    }

    #[test]
    fn a_drop_cuts_inside_an_event() {
        let steps = steps(frames(), Some(&FaultKind::Drop { after_events: 1 }));
        assert_eq!(steps, [Step::Send(b"one\n\n".to_vec()), Step::Send(b"tw".to_vec()), Step::Cut]);
    }

    #[test]
    fn a_fault_beyond_the_end_hits_the_last_event() {
        let steps = steps(frames(), Some(&FaultKind::Stall { after_events: 99 }));
        assert_eq!(steps.len(), 3);
        assert_eq!(steps[2], Step::Hang);
    }

    #[test]
    fn torn_pieces_add_up() {
        let sent = |steps: Vec<Step>| {
            let bytes = steps.into_iter().flat_map(|step| match step {
                Step::Send(bytes) => bytes,
                other => panic!("{other:?}"),
            });
            bytes.collect::<Vec<u8>>()
        };
        let whole = steps(frames(), None);
        let torn = tear(whole.clone());
        assert!(torn.len() > whole.len());
        assert_eq!(sent(torn), sent(whole));
    }
}

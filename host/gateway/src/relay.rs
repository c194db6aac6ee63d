//! Passes the body of a response on, piece by piece as it comes, while the meter reads along. When the client goes away the
//! rest is read for a while, for the sake of the usage at its end.

use crate::{access::Limits, provider::Meter, say::Cut};
use http_body_util::BodyExt;
use hyper::body::{Bytes, Incoming};
use tokio::{
    sync::mpsc,
    time::{Instant, sleep_until, timeout},
};

/// How a response ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum End {
    Complete,
    /// The client left and the rest did not come within the drain time.
    ClientGone,
    /// The provider cut it off.
    Dropped,
    /// Nothing came for longer than the idle time.
    Silent,
}

pub(crate) struct Relayed {
    pub end: End,
    /// Bytes the client took.
    pub bytes_out: u64,
}

/// Relays until the body ends one way or another; leaves the client's side open.
pub(crate) async fn relay(
    mut body: Incoming,
    client: &mut mpsc::Sender<Result<Bytes, Cut>>,
    meter: &mut dyn Meter,
    limits: &Limits,
) -> Relayed {
    let mut bytes_out = 0;
    // Set once the client has gone.
    let mut drain_until: Option<Instant> = None;
    let end = loop {
        let drained = async {
            match drain_until {
                Some(until) => sleep_until(until).await,
                None => client.closed().await,
            }
        };
        let piece = tokio::select! {
            piece = timeout(limits.idle_time, body.frame()) => piece,
            () = drained => match drain_until {
                Some(_) => break End::ClientGone,
                None => {
                    drain_until = Some(Instant::now() + limits.drain_time);
                    continue;
                }
            },
        };
        let data = match piece {
            Err(_) => break End::Silent,
            Ok(None) => break End::Complete,
            Ok(Some(Err(_))) => break End::Dropped,
            // Trailers are not passed on.
            Ok(Some(Ok(frame))) => match frame.into_data() {
                Ok(data) => data,
                Err(_) => continue,
            },
        };
        meter.feed(&data);
        if drain_until.is_none() {
            let length = data.len() as u64;
            match timeout(limits.stall_time, client.send(Ok(data))).await {
                Ok(Ok(())) => bytes_out += length,
                Ok(Err(_)) | Err(_) => drain_until = Some(Instant::now() + limits.drain_time),
            }
        }
    };
    Relayed { end, bytes_out }
}

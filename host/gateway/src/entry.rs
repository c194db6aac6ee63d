//! One request as the ledger sees it, and the answer that its client waits for. What is decided is recorded before the client hears of it.

use crate::{
    Fate, Row, Rule,
    refusal::{Refusal, cap_message},
    run::{Counted, Run},
    say::{self, Body, Said},
    way::Way,
};
use borg_core::budget::{Cap, MicroUsd};
use hyper::{Response, StatusCode};
use std::{collections::BTreeMap, sync::Arc, time::Instant};
use tokio::sync::oneshot;

/// Where the response goes; closed when the client has gone.
pub(crate) type Answer = oneshot::Sender<Response<Body>>;

/// The ledger row of a request under way.
pub(crate) struct Entry {
    pub run: Arc<Run>,
    pub row: Row,
    /// While it has this, the end of its run waits for it.
    pub waited_for: Option<Counted>,
    /// The way it takes, once that is known.
    way: Option<Way>,
    began: Instant,
}

/// Why a request goes no further.
pub(crate) enum Stop {
    Refused(Refusal),
    Capped(Cap, String),
    /// The client went away before anything was forwarded.
    Gone,
}

impl Entry {
    pub fn open(run: &Arc<Run>, peer: i32) -> Entry {
        let row = Row {
            run: run.key,
            host: run.ways.first().map_or(String::new(), |way| way.host().to_owned()),
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
        Entry { run: Arc::clone(run), row, waited_for: None, way: None, began: Instant::now() }
    }

    /// From here on it is known where it goes, and who spells what its client is told.
    pub fn take(&mut self, way: Way) {
        self.row.host = way.host().to_owned();
        self.way = Some(way);
    }

    /// Records a request that was not forwarded, then answers it.
    pub async fn stop(mut self, stop: Stop, answer: Answer) {
        let run = Arc::clone(&self.run);
        let (response, fate) = match stop {
            Stop::Refused(refusal) => {
                let response = self.refused(&refusal);
                (response, Fate::Refused { rule: refusal.rule, pointer: refusal.pointer })
            }
            Stop::Capped(cap, figure) => {
                let message = cap_message(cap, &figure);
                (self.say(&Said::Capped { cap, message: &message }), Fate::Capped(cap))
            }
            Stop::Gone => {
                let response = self.refused(&Refusal::new(Rule::Shut, "the client has gone"));
                (response, Fate::Failed("the client went away first".into()))
            }
        };
        self.row.fate = fate;
        let shut = self.shut();
        if run.is_shut() {
            let _ = answer.send(shut);
            return;
        }
        match self.finish(response.status()).await {
            Ok(()) => {
                run.count_refusal();
                // An error only means that the client has gone.
                let _ = answer.send(response);
            }
            Err(()) => {
                let _ = answer.send(shut);
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

    /// Records, then answers with this.
    pub async fn answer(self, response: Response<Body>, answer: Answer) {
        let shut = self.shut();
        let response = match self.finish(response.status()).await {
            Ok(()) => response,
            Err(()) => shut,
        };
        // An error only means that the client has gone.
        let _ = answer.send(response);
    }

    /// Records the row as it stands; an error means that the door is shut.
    pub async fn finish(mut self, status: StatusCode) -> Result<(), ()> {
        self.row.status = status.as_u16();
        self.row.duration_ms = u64::try_from(self.began.elapsed().as_millis()).unwrap_or(u64::MAX);
        self.run.record(self.row).await.map_err(|_| ())
    }

    /// In the words of the way it takes.
    pub fn say(&self, said: &Said<'_>) -> Response<Body> {
        say::whole(self.run.say(self.way.as_ref(), said))
    }

    fn refused(&self, refusal: &Refusal) -> Response<Body> {
        self.say(&Said::Refused { refusal, host: &self.row.host })
    }

    /// What everybody hears once the door is shut.
    fn shut(&self) -> Response<Body> {
        let detail = "the door of this run is shut (failed ledger, too many refusals, or the end of the run)";
        self.refused(&Refusal::new(Rule::Shut, detail))
    }
}

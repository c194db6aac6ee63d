//! What settles an effect whose doer panicked: a fault of ours. Its task waits for a person, the process lives.

use super::check::stopped;
use crate::clock::now_ms;
use borg_core::{effect::Order, event::Body, evidence::CheckRun, executor::EndCause, id::Digest};

/// The event that says that an order could not be carried out, in the form the state expects as its answer.
pub(in crate::engine) fn broken(order: &Order, reason: String) -> Body {
    let remedy = "please report it with the log; then retry the task".to_owned();
    match order {
        Order::Prepare { .. } => Body::PrepareFailed { reason, remedy },
        Order::Brief { .. } | Order::Run(_) | Order::Accept { .. } => {
            Body::PluginFailed { plugin: "borg-host".into(), reason }
        }
        Order::Collect(order) => Body::CollectFailed { run: order.run, reason },
        Order::Check(order) => {
            let check = CheckRun { sandbox_error: Some(reason), ..stopped(EndCause::Lost, now_ms()) };
            Body::Checked { run: order.run, check: Box::new(check) }
        }
        // Without a judgement a person looks.
        Order::Judge(_) => Body::Judged {
            findings: Vec::new(),
            failures: Vec::new(),
            incomplete: vec![reason],
            diff: Digest::of_bytes(b""),
        },
        Order::Deliver { .. } => Body::DeliverFailed { reason, remedy },
        Order::Stop { run, cause } => Body::Stopped { run: *run, cause: *cause },
        // What is left lies where the next start finds it.
        Order::Forget { run } => Body::Forgotten { run: *run },
        Order::Tell { .. } => Body::TellFailed { reason },
    }
}

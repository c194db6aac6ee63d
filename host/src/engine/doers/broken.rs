//! What settles an effect whose doer panicked: a fault of ours. Its task waits for a person, the process lives.

use super::check::stopped;
use crate::clock::now_ms;
use borg_core::{
    effect::Order,
    event::{Answer, Body},
    evidence::CheckRun,
    executor::EndCause,
    remedy::Advice,
};

/// The event that says that an order could not be carried out, in the form the state expects as its answer.
pub(in crate::engine) fn broken(order: &Order, reason: String) -> Body {
    let remedy = Advice::from("please report it with the log; then retry the task");
    match order {
        Order::Prepare(_) => Body::Answer(Answer::PrepareFailed { reason, remedy }),
        Order::Brief(_) | Order::Run(_) | Order::Accept(_) => {
            Body::Answer(Answer::PluginFailed { plugin: "borg-host".into(), reason })
        }
        Order::Collect(order) => Body::Answer(Answer::CollectFailed { run: order.run, reason }),
        Order::Check(order) => {
            let check = CheckRun { sandbox_error: Some(reason), ..stopped(EndCause::Lost, now_ms()) };
            Body::Answer(Answer::Checked { run: order.run, check: Box::new(check) })
        }
        // Without a judgement a person looks.
        Order::Judge(_) => {
            Body::Answer(Answer::Judged { findings: Vec::new(), failures: Vec::new(), incomplete: vec![reason] })
        }
        Order::Deliver(_) => Body::Answer(Answer::DeliverFailed { reason, remedy }),
        Order::Stop(order) => Body::Answer(Answer::Stopped { run: order.run, cause: order.cause }),
        // What is left lies where the next start finds it.
        Order::Forget(order) => Body::Answer(Answer::Forgotten { run: order.run }),
        Order::Tell(_) => Body::Answer(Answer::TellFailed { reason }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use borg_core::{
        chat::NoticeKind,
        effect::{Audience, DeliverOrder, ForgetOrder, PrepareOrder, StopOrder, TellOrder},
        executor::EndCause,
        policy::Via,
    };

    #[test]
    fn every_answer_names_the_fault_or_settles_what_the_next_start_repeats() {
        let run = "t1-s0-a1-agent".parse().unwrap();
        let notice = borg_core::chat::Notice::new("console:terminal", NoticeKind::Final, "t1", Vec::new());
        let commit = borg_core::collect::CommitId("0123456789abcdef0123456789abcdef01234567".into());
        let deliver = Order::Deliver(DeliverOrder {
            via: Via::Branch,
            branch: "borg/1/x".into(),
            commit,
            repository: "acme/shop".into(),
            answer: None,
        });
        let prepare = Order::Prepare(PrepareOrder {
            repository: "acme/shop".into(),
            needs_check: true,
            executors: Vec::new(),
            commits: Vec::new(),
        });
        let kind = |order: &Order| match broken(order, "why".into()) {
            Body::Answer(Answer::PrepareFailed { reason, remedy }) => {
                (reason == "why" && remedy.spell(borg_core::intent::spell).contains("retry")).then_some("prepare")
            }
            Body::Answer(Answer::DeliverFailed { reason, remedy }) => {
                (reason == "why" && remedy.spell(borg_core::intent::spell).contains("retry")).then_some("deliver")
            }
            Body::Answer(Answer::TellFailed { reason }) => (reason == "why").then_some("tell"),
            Body::Answer(Answer::Stopped { .. }) => Some("stop"),
            Body::Answer(Answer::Forgotten { .. }) => Some("forget"),
            other => panic!("{other:?}"),
        };
        assert_eq!(kind(&prepare), Some("prepare"));
        assert_eq!(kind(&deliver), Some("deliver"));
        assert_eq!(kind(&Order::Tell(TellOrder { notice: Box::new(notice), audience: Audience::Chat })), Some("tell"));
        assert_eq!(kind(&Order::Stop(StopOrder { run, cause: EndCause::Cancelled })), Some("stop"));
        assert_eq!(kind(&Order::Forget(ForgetOrder { run })), Some("forget"));
    }
}

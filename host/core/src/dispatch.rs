//! An effect about to be performed: its order, with the slice of policy and state that its doer needs. Who performs it asks neither policy nor
//! the state, so need not be the process that keeps them.
//!
//! What is owed is kept as an order that names these; they are looked up when it is performed, so that one that waited over a restart, or over
//! an edit of policy, goes by what holds now.

use crate::{
    budget::{Budget, Hold, Spent},
    collect::CommitId,
    effect::{
        AcceptOrder, BriefOrder, CheckOrder, CollectOrder, DeliverOrder, ForgetOrder, JudgeOrder, Order, PrepareOrder,
        RunOrder, StopOrder, TellOrder,
    },
    id::{Digest, RunKey, TaskId},
    owner::Owner,
    people::{PersonId, Role},
    policy::{EgressPolicy, ExecutorPolicy, PersonaPolicy, Policy, RepoPolicy},
    step::{Policies, State},
    task::{AgentRun, Task},
};
use serde_json::Value;
use std::collections::BTreeMap;

/// One order with what its doer needs.
#[derive(Clone, Debug, PartialEq)]
pub enum Dispatch {
    Prepare(Preparing),
    Brief(Briefing),
    Run(Box<Running>),
    Stop(StopOrder),
    Collect(Box<CollectOrder>),
    Accept(Accepting),
    Check(Checking),
    Judge(Judging),
    Deliver(Delivering),
    Forget(ForgetOrder),
    Tell(Telling),
}

/// For [`PrepareOrder`].
#[derive(Clone, Debug, PartialEq)]
pub struct Preparing {
    pub order: PrepareOrder,
    /// None when policy knows the repository no more.
    pub repo: Option<RepoPolicy>,
    /// Image of test runs where the repository names none.
    pub checks_image: String,
    pub executors: Vec<Candidate>,
}

/// An executor that a task will need.
#[derive(Clone, Debug, PartialEq)]
pub struct Candidate {
    pub name: String,
    /// None when policy knows it no more.
    pub policy: Option<ExecutorPolicy>,
    /// Names of the secrets its ways out need.
    pub secrets: Vec<String>,
}

/// For [`BriefOrder`].
#[derive(Clone, Debug, PartialEq)]
pub struct Briefing {
    pub order: Box<BriefOrder>,
    /// None when policy knows the persona no more.
    pub persona: Option<PersonaPolicy>,
}

/// For [`RunOrder`].
#[derive(Clone, Debug, PartialEq)]
pub struct Running {
    pub order: RunOrder,
    /// `[executor.NAME.settings]`, as given.
    pub settings: Value,
    /// SHA-256 of the agent bundle that policy pins; none where it says nothing of it.
    pub bundle: Option<Digest>,
    /// Its ways out, by name; one that policy knows no more is no way out.
    pub egress: Vec<(String, EgressPolicy)>,
    /// What it may spend from now on.
    pub allowance: Budget,
    /// What its stage spent until now.
    pub spent: Spent,
    /// Requests under way, of this run and of earlier ones of its stage, whose cost is not known yet.
    pub holds: Vec<(RunKey, Hold)>,
    /// How far it got, where it had begun: then its sandbox is adopted.
    pub begun: Option<AgentRun>,
}

/// For [`AcceptOrder`].
#[derive(Clone, Debug, PartialEq)]
pub struct Accepting {
    pub order: Box<AcceptOrder>,
    /// `[persona.NAME.settings]`, as given.
    pub settings: Value,
}

/// For [`CheckOrder`].
#[derive(Clone, Debug, PartialEq)]
pub struct Checking {
    pub order: Box<CheckOrder>,
    /// Directories of this machine that test runs in the local sandbox may read.
    pub host_paths: Vec<String>,
}

/// For [`JudgeOrder`].
#[derive(Clone, Debug, PartialEq)]
pub struct Judging {
    pub order: Box<JudgeOrder>,
    /// Names of the rules that look, each with its `[rule.NAME.settings]` as given.
    pub rules: Vec<(String, Value)>,
}

/// For [`DeliverOrder`].
#[derive(Clone, Debug, PartialEq)]
pub struct Delivering {
    pub order: DeliverOrder,
    pub owner: Owner,
    /// Where the repository is; none when policy knows it no more.
    pub url: Option<String>,
}

/// For [`TellOrder`].
#[derive(Clone, Debug, PartialEq)]
pub struct Telling {
    pub order: TellOrder,
    /// The task it is about, as it is now; none when it has ended.
    pub about: Option<Told>,
    /// Who may press what.
    pub roles: BTreeMap<PersonId, Role>,
}

/// What is to be known of a task to show people its change.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Told {
    pub task: TaskId,
    pub repository: String,
    pub base: Option<CommitId>,
    pub head: Option<CommitId>,
    /// Who may decide on it.
    pub deciders: Vec<PersonId>,
}

impl Running {
    /// What it may still spend when it has run for so long, in milliseconds, that no figure of its owner tells of yet.
    pub fn left(&self, earlier_ms: u64) -> Budget {
        self.allowance.left(&Spent { wall_ms: earlier_ms, ..Spent::default() })
    }
}

impl Dispatch {
    /// Puts together what an order of this owner needs.
    pub fn new(order: Order, owner: Owner, state: &State, policies: &Policies) -> Dispatch {
        let task = owner.task().and_then(|id| state.tasks.get(&id));
        let policy = task.map_or_else(|| policies.current(), |task| policies.of(task));
        match order {
            Order::Prepare(order) => Dispatch::Prepare(Preparing {
                repo: policy.repos.get(&order.repository).cloned(),
                checks_image: policy.checks.image.clone(),
                executors: order.executors.iter().map(|name| candidate(name, policy)).collect(),
                order,
            }),
            Order::Brief(order) => {
                Dispatch::Brief(Briefing { persona: policy.personas.get(&order.persona).cloned(), order })
            }
            Order::Run(order) => Dispatch::Run(Box::new(running(*order, task, policy))),
            Order::Stop(order) => Dispatch::Stop(order),
            Order::Collect(order) => Dispatch::Collect(order),
            Order::Accept(order) => {
                let persona = policy.personas.get(&order.persona);
                let settings = persona.map(|granted| granted.settings.clone()).unwrap_or_default();
                Dispatch::Accept(Accepting { order, settings })
            }
            Order::Check(order) => Dispatch::Check(Checking { order, host_paths: policy.checks.host_paths.clone() }),
            Order::Judge(order) => Dispatch::Judge(Judging { rules: chosen(&order.rules, policy), order }),
            Order::Deliver(order) => {
                let url = policy.repos.get(&order.repository).map(|repo| repo.url.clone());
                Dispatch::Deliver(Delivering { order, owner, url })
            }
            Order::Forget(order) => Dispatch::Forget(order),
            Order::Tell(order) => {
                let about = task.map(told);
                Dispatch::Tell(Telling { order, about, roles: policies.current().people.clone() })
            }
        }
    }

    /// True for a run that is taken over as it is: it has all the room it will get.
    pub fn is_adoption(&self) -> bool {
        match self {
            Dispatch::Run(run) => run.begun.as_ref().is_some_and(AgentRun::has_started),
            Dispatch::Prepare(_)
            | Dispatch::Brief(_)
            | Dispatch::Stop(_)
            | Dispatch::Collect(_)
            | Dispatch::Accept(_)
            | Dispatch::Check(_)
            | Dispatch::Judge(_)
            | Dispatch::Deliver(_)
            | Dispatch::Forget(_)
            | Dispatch::Tell(_) => false,
        }
    }
}

fn candidate(name: &str, policy: &Policy) -> Candidate {
    let granted = policy.executors.get(name).cloned();
    let ways = granted.iter().flat_map(|granted| &granted.egress);
    let secrets = ways.filter_map(|way| policy.egress.get(way)?.model()).map(|model| model.secret.clone()).collect();
    Candidate { name: name.to_owned(), policy: granted, secrets }
}

fn running(order: RunOrder, task: Option<&Task>, policy: &Policy) -> Running {
    let executor = policy.executors.get(&order.executor);
    let ways = order.egress.iter().filter_map(|name| Some((name.clone(), policy.egress.get(name)?.clone())));
    Running {
        settings: executor.map(|granted| granted.settings.clone()).unwrap_or_default(),
        bundle: executor.and_then(|granted| granted.bundle),
        egress: ways.collect(),
        allowance: task.map_or(order.allowance, |task| task.allowance(policy)),
        spent: task.map(|task| task.stage_spent).unwrap_or_default(),
        holds: task.into_iter().flat_map(|task| task.holds_of(order.run)).cloned().collect(),
        begun: task.and_then(Task::agent_run).filter(|agent| agent.run == order.run).cloned(),
        order,
    }
}

/// Rules of a stage: those it names, or all that policy enables. One that is named but missing fails, and so leads to review.
fn chosen(named: &[String], policy: &Policy) -> Vec<(String, Value)> {
    let settings = |name: &String| policy.rules.get(name).map(|rule| rule.settings.clone()).unwrap_or_default();
    if named.iter().any(|name| name == "*") {
        let enabled = policy.rules.iter().filter(|(_, rule)| rule.enabled);
        enabled.map(|(name, rule)| (name.clone(), rule.settings.clone())).collect()
    } else {
        named.iter().map(|name| (name.clone(), settings(name))).collect()
    }
}

fn told(task: &Task) -> Told {
    Told {
        task: task.id(),
        repository: task.spec.repository.clone(),
        base: task.base.as_ref().map(|base| base.commit.clone()),
        head: task.head.clone(),
        deciders: task.deciders.clone(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::policy::{parse::parse, source::SourceFile};

    fn policy(rules: &str) -> Policy {
        let host = "[host]\npipeline = \"p\"\n[budget.default]\n[pipeline.p]\n[[pipeline.p.stage]]\nname = \"j\"\nrules = [\"*\"]\n";
        parse(&[SourceFile { name: "a.toml".into(), text: format!("{host}{rules}") }]).unwrap()
    }

    #[test]
    fn all_enabled_rules_look_or_those_that_are_named() {
        let names = |named: &[&str], policy: &Policy| {
            let named: Vec<String> = named.iter().map(|rule| (*rule).to_owned()).collect();
            chosen(&named, policy).into_iter().map(|(name, _)| name).collect::<Vec<String>>()
        };
        let (on, off) = (policy("[rule.scope]\n"), policy("[rule.scope]\nenabled = false\n"));
        assert_eq!(names(&["*"], &on), ["scope"]);
        assert_eq!(names(&["*"], &off), [""; 0]);
        assert_eq!(names(&[], &on), [""; 0]);
        assert_eq!(
            names(&["scope", "missing"], &off),
            ["scope", "missing"],
            "one that is missing fails, and is not left out"
        );
    }
}

//! May this person do that? The answer is a [`Permit`], which can be made here only, or a [`Refused`].

use crate::{
    intent::{self, Intent},
    people::{PersonId, Role, role_word},
    policy::Policy,
    remedy::Advice,
    task::Task,
};

/// Leave for one intent of one person.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Permit {
    person: PersonId,
    role: Role,
    intent: Intent,
}

impl Permit {
    pub fn person(&self) -> &PersonId {
        &self.person
    }

    pub fn role(&self) -> Role {
        self.role
    }

    pub fn intent(&self) -> &Intent {
        &self.intent
    }
}

/// A no, with the policy line that would make it a yes.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{reason}")]
pub struct Refused {
    pub reason: String,
    pub remedy: Advice,
    /// True for somebody policy does not know: frontends may answer with silence.
    pub stranger: bool,
}

/// Decides on the intent of a person; `task` is the task it names, when there is one.
pub fn permit(person: &PersonId, intent: Intent, task: Option<&Task>, policy: &Policy) -> Result<Permit, Refused> {
    let Some(role) = policy.role(person) else {
        return Err(Refused {
            reason: format!("{person} is not known here"),
            remedy: edit(person, Role::Member),
            stranger: true,
        });
    };
    let needed = needed_role(&intent, person, task, policy);
    if role < needed {
        let word = role_word(needed);
        return Err(Refused {
            reason: format!("that needs the role {word}, and you are {}", role_word(role)),
            remedy: edit(person, needed),
            stranger: false,
        });
    }
    Ok(Permit { person: person.clone(), role, intent })
}

/// The line that would give somebody a role.
fn edit(person: &PersonId, role: Role) -> Advice {
    let line = format!("{} = [\"{person}\"]", role_word(role));
    Advice::from("an owner may ").edit("policies/people.toml", "[people]", line)
}

fn needed_role(intent: &Intent, person: &PersonId, task: Option<&Task>, policy: &Policy) -> Role {
    let role = intent::command(intent.name()).map_or(Role::Owner, |command| command.role);
    let acts = match intent {
        Intent::Cancel { .. } | Intent::Retry { .. } | Intent::Note { .. } | Intent::Answer { .. } => true,
        Intent::Task(_)
        | Intent::Ask { .. }
        | Intent::Continue { .. }
        | Intent::Approve { .. }
        | Intent::Reject { .. }
        | Intent::Register { .. }
        | Intent::Unregister
        | Intent::Allow { .. }
        | Intent::Pause
        | Intent::Resume
        | Intent::Look(_) => false,
    };
    let others = task.is_some_and(|task| policy.human(&task.spec.by) != policy.human(person));
    if acts && others { role.max(Role::Admin) } else { role }
}

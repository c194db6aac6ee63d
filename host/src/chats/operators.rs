//! Who hears of what concerns the host itself, not one task: the admin chat where one is set and can be reached, else every owner.
//!
//! Owners are those of the policy in force. Whoever sits at the terminal hears what is said while they sit there; what goes by mail waits.

use super::{Caught, Chats};
use crate::{clock::now_ms, engine::handle::Handle};
use borg_core::{
    chat::{Button, Notice, NoticeKind, Part},
    event::{Body, Event, HostEvent},
    owner::Owner,
    people::{PersonId, Role},
};
use std::collections::BTreeSet;

/// The chat that the terminal is, as the host knows it.
pub const TERMINAL: &str = "console:terminal";

/// Reaches the people who run this host. Cheap to clone.
#[derive(Clone)]
pub struct Operators {
    chats: Chats,
    handle: Handle,
    admin: Option<String>,
}

impl Operators {
    /// `admin` is the chat that is told in the owners' place, `transport:chat`.
    pub fn new(chats: Chats, handle: Handle, admin: Option<String>) -> Self {
        Operators { chats, handle, admin }
    }

    /// Warns all of them. Where that goes by mail it is owed when this returns, once for each `key`; true where somebody sits at the
    /// terminal and has seen it.
    pub async fn tell(&self, key: &str, topic: &str, parts: Vec<Part>, buttons: Vec<Button>) -> bool {
        self.send(key, NoticeKind::Warning, topic, parts, buttons).await
    }

    /// Tells what components were caught at, and has the journal note it. Never resolves while there is an engine.
    pub async fn attend_to_misconduct(self) {
        loop {
            let Caught { plugin, digest, what } = self.chats.misconduct.next().await;
            let body =
                Body::Host(HostEvent::PluginMisbehaved { plugin: plugin.clone(), digest, what: what.to_owned() });
            if self.handle.post(Event { at_ms: now_ms(), owner: Owner::Host, settles: None, body }).await.is_err() {
                return;
            }
            let parts = vec![
                Part::Text(format!("the component `{plugin}` did what it has no right to, and that was left out:")),
                Part::Item(what.to_owned()),
                Part::Field { label: "component".into(), value: format!("sha256 {digest}") },
                Part::Field {
                    label: "what to do".into(),
                    value: "put the shipped one back, or one you trust; `borg-host doctor` lists the plugins".into(),
                },
            ];
            self.tell(&format!("misconduct:{digest}:{what}"), "plugins", parts, Vec::new()).await;
        }
    }

    /// The same with what is no reason to worry.
    pub async fn report(&self, key: &str, topic: &str, parts: Vec<Part>) -> bool {
        self.send(key, NoticeKind::Answer, topic, parts, Vec::new()).await
    }

    async fn send(&self, key: &str, kind: NoticeKind, topic: &str, parts: Vec<Part>, buttons: Vec<Button>) -> bool {
        let mut is_seen = false;
        for chat in self.places().await {
            let notice = Notice { buttons: buttons.clone(), ..Notice::new(&chat, kind, topic, parts.clone()) };
            let is_heard = self.chats.is_heard(&chat);
            match self.chats.tell(&format!("{key}:{chat}"), &notice).await {
                Ok(()) => is_seen |= is_heard,
                Err(error) => tracing::warn!(%error, chat, topic, "an operator could not be told"),
            }
        }
        is_seen
    }

    /// Chats to tell; none when the host is stopping.
    async fn places(&self) -> BTreeSet<String> {
        let can_be_reached = |chat: &&String| self.chats.is_by_mail(chat) || self.chats.is_heard(chat);
        if let Some(admin) = self.admin.as_ref().filter(can_be_reached) {
            return [admin.clone()].into();
        }
        let policy = self.handle.policy();
        let owners = policy.people.iter().filter(|(_, role)| **role == Role::Owner);
        owners.map(|(owner, _)| chat_of(owner)).collect()
    }
}

/// Chat of one person: a private chat is called as the person is, but a terminal is one chat whoever sits there.
pub(super) fn chat_of(person: &PersonId) -> String {
    if *person == here() { TERMINAL.to_owned() } else { person.0.clone() }
}

/// The person whose chat this is, if it is a person's at all: policy knows those.
pub fn person_of(chat: &str) -> PersonId {
    if chat == TERMINAL { here() } else { PersonId(chat.to_owned()) }
}

/// Whoever sits at the terminal this host was started in.
pub fn here() -> PersonId {
    PersonId(format!("console:{}", rustix::process::getuid().as_raw()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        chats::{WIDTH, telegram},
        fixture::Fixture,
        mail::{Mail, Mailbox},
    };

    #[tokio::test]
    async fn the_admin_chat_is_told_where_it_can_be_reached_and_else_every_owner() {
        let plugins = borg_tests::require::plugins().join("chats");
        if !plugins.is_dir() {
            return borg_tests::require::skip("the chat plugins are not built (`cargo xtask build`)");
        }
        let me = format!("console:{}", rustix::process::getuid().as_raw());
        let owners = ["telegram:1", "telegram:2", &me].map(|person| (person, Role::Owner));
        let people: Vec<(&str, Role)> = owners.into_iter().chain([("telegram:3", Role::Admin)]).collect();
        let fixture = Fixture::start(&people, Some(plugins)).await;
        let chats = fixture.conversation.chats.clone();
        let store = fixture.store.clone();
        let mut terminal = chats.listen(TERMINAL, || WIDTH);
        let mut last = 0;
        for (n, (admin, by_mail, owed, seen)) in [
            (None, true, vec!["1", "2"], true),
            (None, false, vec![], true),
            (Some("telegram:-100"), true, vec!["-100"], false),
            (Some("telegram:-100"), false, vec![], true),
            (Some("nowhere:7"), true, vec!["1", "2"], true),
            (Some(TERMINAL), true, vec![], true),
        ]
        .into_iter()
        .enumerate()
        {
            let mut chats = chats.clone();
            if by_mail {
                chats = chats.by_mail(Mailbox::new(telegram::NAME, store.clone()));
            }
            let operators = Operators::new(chats, fixture.handle.clone(), admin.map(str::to_owned));
            // A key is told by mail once.
            for _ in 0..2 {
                let parts = vec![Part::Text("all is well".into())];
                assert_eq!(operators.tell(&n.to_string(), "t", parts, Vec::new()).await, seen, "{admin:?}");
                assert_eq!(terminal.try_recv().is_ok(), seen, "{admin:?}");
            }
            let told = store.unsent(telegram::NAME, last, 100).await.unwrap();
            last = told.iter().map(|row| row.id).max().unwrap_or(last);
            assert_eq!(told.iter().map(|row| row.chat.as_str()).collect::<Vec<_>>(), owed, "{admin:?} {by_mail}");
        }
        fixture.stop().await;
    }
}

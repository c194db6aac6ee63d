//! People nobody knows, where policy has their requests held: the first private message of a day is passed on to the owners, and that is
//! said; everything else meets silence, as ever.

use super::answers::Shared;
use crate::{clock::now_ms, neutral};
use borg_core::{
    chat::{Button, Notice, NoticeKind, Part, Post, Update, UpdateKind},
    event::{Body, Event, HostEvent},
    owner::Owner,
    people::PersonId,
    policy::Strangers,
};

/// Longest name of a stranger that is shown, in characters.
const NAME: usize = 64;

impl Shared {
    /// Takes what somebody wrote in a private chat as a request, where policy wants that; gives what they are told. None where they are to
    /// be treated as anybody else.
    pub(super) async fn request(&self, update: &Update, key: &str) -> Option<Vec<(Notice, Vec<Post>)>> {
        let handle = &self.conversation.desk.handle;
        let policy = handle.policy();
        let person = PersonId(format!("{}:{}", self.mailbox.transport, update.sender));
        let speaks = matches!(update.kind, UpdateKind::Message | UpdateKind::Document);
        if policy.strangers != Strangers::Hold || !speaks || policy.role(&person).is_some() {
            return None;
        }
        match self.mailbox.hold(&person, key, &policy).await {
            Ok(true) => {}
            Ok(false) => return None,
            Err(error) => {
                tracing::error!(%error, "a request could not be held");
                return None;
            }
        }
        let reason = "nobody knows them; their request is passed on to the owners".to_owned();
        let body = Body::Host(HostEvent::PersonDenied { by: person.clone(), what: "a request".to_owned(), reason });
        handle.post(Event { at_ms: now_ms(), owner: Owner::Host, settles: None, body }).await.ok()?;
        let (parts, buttons) = asking(&person, &update.sender_name);
        self.conversation.operators.tell(&format!("held:{key}"), "request", parts, buttons).await;
        let text = "your request has been passed on; write again when an owner has let you in".to_owned();
        Some(self.conversation.say(self.mailbox.transport, update, NoticeKind::Answer, vec![Part::Text(text)]).await)
    }
}

/// Who asks, and what an owner may do about it.
fn asking(person: &PersonId, name: &str) -> (Vec<Part>, Vec<Button>) {
    let let_in = |role: &str| Button { label: format!("Let in as {role}"), action: format!("/allow {person} {role}") };
    let parts = vec![
        Part::Text("somebody unknown writes to the bot and asks to be let in".into()),
        Part::Field { label: "person".into(), value: person.0.clone() },
        Part::Field { label: "calls themselves".into(), value: neutral::line(name, NAME) },
        Part::Text("do nothing to leave them out; /allow PERSON ROLE gives another role".into()),
    ];
    (parts, vec![let_in("member"), let_in("guest")])
}

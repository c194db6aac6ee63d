//! Albums: several files sent at once come as several updates that belong together, and are heard as one message.

use crate::mail::Waiting;
use borg_core::chat::{Marks, Update};
use serde::Deserialize;
use std::collections::VecDeque;

/// Albums remembered, so that an item that comes late is not answered once more.
const REMEMBERED: usize = 256;

/// What is answered next in a chat.
#[derive(Debug)]
pub struct Turn {
    /// Rows of updates that say nothing of their own.
    pub silent: Vec<i64>,
    pub answered: Option<Waiting>,
}

/// Albums that were heard lately.
#[derive(Debug, Default)]
pub struct Albums {
    /// Telegram's ids of them, which are unique.
    heard: VecDeque<String>,
}

/// The one field of an update that tells of an album.
#[derive(Deserialize)]
struct Raw {
    message: Option<RawMessage>,
}

#[derive(Deserialize)]
struct RawMessage {
    media_group_id: Option<String>,
}

impl Albums {
    /// Takes the next update of a chat, with everything of its album that has come. The captions of an album are one text.
    pub fn next(&mut self, queue: &mut VecDeque<Waiting>) -> Option<Turn> {
        let first = queue.pop_front()?;
        let Some(album) = album_of(&first) else { return Some(Turn { silent: Vec::new(), answered: Some(first) }) };
        let (items, others): (VecDeque<Waiting>, VecDeque<Waiting>) =
            queue.drain(..).partition(|waiting| album_of(waiting).as_ref() == Some(&album));
        *queue = others;
        let was_heard = self.heard.contains(&album);
        if !was_heard {
            self.heard.truncate(REMEMBERED - 1);
            self.heard.push_front(album);
        }
        let items: Vec<Waiting> = std::iter::once(first).chain(items).collect();
        let updates: Vec<Option<Update>> = items.iter().map(read).collect();
        let others: Vec<Marks> = updates.iter().flatten().filter_map(|update| update.marks.clone()).collect();
        let texts: Vec<String> =
            updates.into_iter().map(|update| update.map_or_else(String::new, |update| update.text)).collect();
        let speaking = texts.iter().position(|text| !text.trim().is_empty());
        // What comes late and says nothing was answered with the rest.
        let answered = speaking.or((!was_heard).then_some(0));
        let mut turn = Turn { silent: Vec::new(), answered: None };
        for (n, mut item) in items.into_iter().enumerate() {
            if answered != Some(n) {
                turn.silent.push(item.id);
                continue;
            }
            if let Some(mut update) = read(&item) {
                let said: Vec<&str> = texts.iter().map(String::as_str).filter(|text| !text.trim().is_empty()).collect();
                update.text = said.join("\n");
                // Words of another that came with it make all of it another's.
                if let Some(marks) = &mut update.marks {
                    marks.forwarded |= others.iter().any(|other| other.forwarded);
                    marks.via_bot |= others.iter().any(|other| other.via_bot);
                }
                item.update = serde_json::to_string(&update).expect("an update is text");
            }
            turn.answered = Some(item);
        }
        Some(turn)
    }
}

fn read(waiting: &Waiting) -> Option<Update> {
    serde_json::from_str(&waiting.update).ok()
}

fn album_of(waiting: &Waiting) -> Option<String> {
    serde_json::from_str::<Raw>(&read(waiting)?.raw).ok()?.message?.media_group_id
}

#[cfg(test)]
mod tests {
    use super::*;
    use borg_core::chat::UpdateKind;

    fn waiting(id: i64, album: Option<&str>, text: &str) -> Waiting {
        let raw = album.map_or_else(|| "{}".into(), |album| format!(r#"{{"message":{{"media_group_id":"{album}"}}}}"#));
        let update = Update {
            id: id.to_string(),
            receipt: String::new(),
            chat: "1".into(),
            sender: "1".into(),
            sender_name: String::new(),
            sender_is_bot: false,
            text: text.into(),
            kind: UpdateKind::Document,
            reply_to: None,
            own_name: String::new(),
            raw,
            marks: Some(Marks::default()),
        };
        let update = serde_json::to_string(&update).unwrap();
        Waiting { id, key: id.to_string(), chat: "1".into(), update }
    }

    /// Rows that say nothing, and what is answered.
    type Taken = (Vec<i64>, Option<(i64, String)>);

    fn next(albums: &mut Albums, queue: &mut VecDeque<Waiting>) -> Option<Taken> {
        let turn = albums.next(queue)?;
        Some((turn.silent, turn.answered.map(|item| (item.id, read(&item).unwrap().text))))
    }

    #[test]
    fn an_album_is_one_message() {
        let mut albums = Albums::default();
        let mut queue = VecDeque::from([
            waiting(1, Some("a"), ""),
            waiting(2, Some("a"), "/task x"),
            waiting(3, None, "then"),
            waiting(4, Some("a"), "more"),
            waiting(5, Some("b"), ""),
            waiting(6, Some("b"), ""),
        ]);
        let mut next = || next(&mut albums, &mut queue);
        assert_eq!(next(), Some((vec![1, 4], Some((2, "/task x\nmore".into())))));
        assert_eq!(next(), Some((Vec::new(), Some((3, "then".into())))));
        assert_eq!(next(), Some((vec![6], Some((5, String::new())))));
        assert_eq!(next(), None);
    }

    #[test]
    fn one_item_that_is_another_s_makes_all_of_it_another_s() {
        let mut forwarded = waiting(2, Some("a"), "more");
        let marks = Some(Marks { forwarded: true, ..Marks::default() });
        forwarded.update = serde_json::to_string(&Update { marks, ..read(&forwarded).unwrap() }).unwrap();
        let mut queue = VecDeque::from([waiting(1, Some("a"), "/pause"), forwarded]);
        let turn = Albums::default().next(&mut queue).unwrap();
        assert!(read(&turn.answered.unwrap()).unwrap().marks.unwrap().forwarded);
    }

    #[test]
    fn what_comes_late_is_answered_only_where_it_says_something() {
        let mut albums = Albums::default();
        let mut late = |id, text| next(&mut albums, &mut VecDeque::from([waiting(id, Some("a"), text)]));
        assert_eq!(late(1, "/tasks"), Some((Vec::new(), Some((1, "/tasks".into())))));
        assert_eq!(late(2, ""), Some((vec![2], None)));
        assert_eq!(late(3, "/help"), Some((Vec::new(), Some((3, "/help".into())))), "no words are lost");
    }
}

//! What waits for somebody's word: what was asked back, who was held, what was noted.

use crate::kind::{Kind, Trial};
use borg_core::people::{PersonId, Role};
use borg_host::mail::{Mail, OPEN_MS};

pub async fn what_is_asked_back_is_open_for_ten_minutes<K: Kind>() {
    let trial = Trial::<K>::start().await;
    let (ann, eve) = (PersonId("bot:1".into()), PersonId("bot:9".into()));
    let asked = trial.journal.ask_back("a", &ann, "bot:1", (&eve, Role::Owner), 5).await.unwrap();
    assert_eq!((&asked.asker, &asked.person, asked.role), (&ann, &eve, Role::Owner));
    let trial = trial.again().await;
    let journal = &trial.journal;
    let again = journal.ask_back("a", &ann, "bot:1", (&eve, Role::Owner), 9).await.unwrap();
    assert_eq!(again, asked, "the same update again, after a crash");
    assert_eq!(journal.asked_back(asked.id, 5 + OPEN_MS).await.unwrap().as_ref(), Some(&asked));
    assert_eq!(journal.asked_back_in("bot:1", &ann, 5).await.unwrap().as_ref(), Some(&asked));
    assert_eq!(journal.asked_back_in("bot:1", &eve, 5).await.unwrap(), None);
    assert_eq!(journal.asked_back_in("bot:2", &ann, 5).await.unwrap(), None);
    assert_eq!(journal.asked_back(asked.id, 6 + OPEN_MS).await.unwrap(), None, "ten minutes are over");
    let later = journal.ask_back("b", &ann, "bot:1", (&eve, Role::Guest), 6 + OPEN_MS).await.unwrap();
    assert!(later.id > asked.id, "an id is given once");
    journal.forget_asked(later.id).await.unwrap();
    assert_eq!(trial.again().await.journal.asked_back(later.id, 7 + OPEN_MS).await.unwrap(), None);
}

pub async fn a_stranger_is_held_once_a_day_until_somebody_decides<K: Kind>() {
    let trial = Trial::<K>::start().await;
    let person = |n: usize| PersonId(format!("bot:{n}"));
    assert!(trial.journal.hold(&person(1), "a", 5, Vec::new()).await.unwrap());
    let trial = trial.again().await;
    let hold = async |n, key, now_ms, known| trial.journal.hold(&person(n), key, now_ms, known).await.unwrap();
    assert!(hold(1, "a", 6, vec![]).await, "the same again, after a crash");
    assert!(!hold(1, "b", 7, vec![]).await);
    let mut taken = 1;
    while hold(taken + 1, "c", 8, vec![]).await {
        taken += 1;
    }
    assert!(taken < 100, "there is an end to it");
    assert!(hold(200, "d", 9, vec![person(3)]).await, "one was decided on");
    assert!(hold(1, "e", 5 + 24 * 3_600_000, vec![]).await, "a day is over");
}

pub async fn the_last_note_counts<K: Kind>() {
    let trial = Trial::<K>::start().await;
    assert_eq!(trial.journal.noted("a").await.unwrap(), None);
    for (name, text) in [("a", "1"), ("b", "2"), ("a", "3")] {
        trial.journal.note(name, text).await.unwrap();
    }
    let trial = trial.again().await;
    assert_eq!(trial.journal.noted("a").await.unwrap().as_deref(), Some("3"));
    assert_eq!(trial.journal.noted("b").await.unwrap().as_deref(), Some("2"));
}

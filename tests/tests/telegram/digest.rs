//! The daily digest, as its owner gets it.

use crate::room::{Room, plain};
use borg_host::clock::{now_ms, utc};
use std::{fs, time::Duration};

const HEADING: &str = "The last 24 h";

fn digests(room: &Room) -> usize {
    room.posts(room.chat).iter().filter(|shown| shown.text.contains(HEADING)).count()
}

#[test]
fn it_comes_once_a_day_whatever_becomes_of_the_host() {
    // Nobody gets one so far: it is off in the harness.
    let Some(mut room) = Room::start(plain()) else { return };
    room.begins(room.chat);
    room.ends();
    assert_eq!(digests(&room), 0);
    room.host.kill().unwrap();
    // A minute that has just passed.
    let passed = utc(now_ms() - 60_000);
    let minute = &passed[11..16];
    let settings = room.host.dir().join("borg.toml");
    fs::write(&settings, format!("digest-time-utc = \"{minute}\"")).unwrap();
    room.host.start().unwrap();
    let told = room.sees(HEADING);
    assert!(told.text.contains("#1 Add a discount") && told.text.contains("1 completed"), "{}", told.text);
    assert!(told.reply_to.is_none() && !told.silent, "{told:?}");
    // What was sent before an answer has its receipt when that is there; without one it would be sent again.
    room.says("/help stats");
    room.sees("/stats: ");
    for _ in 0..2 {
        room.host.kill().unwrap();
        room.host.start().unwrap();
        // The host looks for what is due before it hears anybody.
        room.says("/ping");
        room.api.wait_confirmed(Duration::from_secs(30)).unwrap();
    }
    room.says("/stats");
    room.sees("What was done");
    assert_eq!(digests(&room), 1, "{}", room.api.transcript(room.chat));
    room.finish();
}

//! Plays every folder under `tests/scenarios/`: the whole host on a real repository, in the strongest sandbox present.

use borg_tests::scenario;
use std::path::PathBuf;

fn scenarios() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("scenarios")
}

#[test]
fn every_scenario_ends_as_written_down() {
    if let Err(error) = scenario::play_all(&scenarios()) {
        panic!("{error:#}");
    }
}

#[test]
fn every_scenario_can_be_read() {
    for folder in scenario::folders(&scenarios()).unwrap() {
        if let Err(error) = scenario::read_all(&folder) {
            panic!("{}: {error:#}", folder.display());
        }
    }
}

//! Questions, with the real Claude Code: one of a person, answered in a container with a chat's memory, and one of the agent, answered by a
//! person.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use borg_tests::{
    harness::Texts,
    messages_api::{Expect, Fault, FaultKind, Persona, Script, Turn},
    trial::{IMPLEMENT, LIMIT, REPOSITORY, Trial, bash, honest, shop, worker},
};
use serde_json::json;

/// What the engine says while the agent listens to a slow model: memory, and memory with swap, in bytes.
const MEMORY: &str = "{{.HostConfig.Memory}} {{.HostConfig.MemorySwap}}";

/// Runs one task, and says what its container may take while the model speaks slowly.
fn memory(trial: &Trial, pipeline: &str) -> Vec<String> {
    let task = trial.host.task(REPOSITORY, pipeline, "Where are prices rounded?", "").unwrap();
    trial.api.wait_until(LIMIT, |seen| !seen.is_empty()).unwrap();
    let told = trial.host.told_of_containers(MEMORY);
    trial.ends(task, "completed");
    assert_eq!(trial.api.problems(), Vec::<String>::new(), "{}", trial.log(task));
    told
}

#[test]
fn a_question_is_answered_within_the_memory_of_a_chat() {
    let read = Turn::call("Read", json!({ "file_path": "/workspace/shop.py" })).expect(Expect::ok().containing("def"));
    let answerer = Persona::new("answerer", Texts::ANSWERER).turn(read).turn(Turn::say("In shop.py."));
    let slow = Fault::at(1, FaultKind::Slow { delay_ms: 200 });
    let Some(trial) = Trial::start(Script::new().persona(answerer).fault(slow)) else { return };
    assert_eq!(memory(&trial, "ask"), ["536870912 536870912"]);
    let shown = trial.host.cli(&["task", "show", "1"]).unwrap().success().stdout;
    assert!(shown.contains("In shop.py."), "{shown}");
}

#[test]
fn work_on_the_code_has_the_memory_of_a_pipeline() {
    let slow = Fault::at(1, FaultKind::Slow { delay_ms: 200 });
    let Some(trial) = Trial::with(honest().fault(slow), shop(), |setup| setup) else { return };
    assert_eq!(memory(&trial, "once"), ["1073741824 1073741824"]);
}

#[test]
fn policy_says_how_much_a_question_may_take() {
    let answerer = Persona::new("answerer", Texts::ANSWERER).turn(Turn::say("Nowhere."));
    let script = Script::new().persona(answerer).fault(Fault::at(1, FaultKind::Slow { delay_ms: 200 }));
    let change = |setup: borg_tests::harness::Setup| {
        setup.policy("[executor.claude-code]\nmemory = \"400MiB\"\nchat-memory = \"300MiB\"").unwrap()
    };
    let Some(trial) = Trial::with(script, shop(), change) else { return };
    assert_eq!(memory(&trial, "ask"), ["314572800 314572800"]);
}

#[test]
fn the_agent_asks_a_person_and_goes_on_with_the_answer() {
    let question = json!({ "file_path": "/out/question.md", "content": "Rounded down, or to the nearest cent?" });
    let ask = Turn::call("Write", question).expect(Expect::ok());
    let work = bash(IMPLEMENT);
    let persona = worker().turn(ask).turn(Turn::say("I must know that first.")).next_run();
    let persona = persona.turn(work).turn(Turn::say("Rounded down, as you said."));
    let Some(trial) = Trial::start(Script::new().persona(persona)) else { return };
    let task = trial.task();
    trial.ends(task, "blocked");
    let shown = trial.host.cli(&["task", "show", "1"]).unwrap().success().stdout;
    assert!(shown.contains("worker asks: Rounded down, or to the nearest cent?"), "{shown}");
    assert_eq!(trial.host.told_of_containers("{{.Id}}"), [""; 0], "nothing is kept running for it");
    trial.host.cli(&["task", "answer", "1", "Down, always."]).unwrap().success();
    trial.ends(task, "completed");
    assert_eq!(trial.api.problems(), Vec::<String>::new(), "{}", trial.log(task));
    let heard = trial.api.asked().iter().filter(|seen| seen.mentions("Down, always.")).count();
    assert_eq!(heard, 2, "both requests of the second run know the answer");
    assert_eq!(trial.repo.branches().unwrap().len(), 1);
}

//! Pipelines as data: the form of one, and what makes no sense in one.

use super::{Expect, Pipeline, StagePlan, StageWork, Via, section::Section};
use std::ops::Range;
use toml::de::DeValue;

/// Personas a pipeline names, with the place of each.
pub(super) type Personas = Vec<(String, Range<usize>)>;

/// Reads `[pipeline.NAME]` and its stages.
pub(super) fn read(name: &str, mut section: Section<'_>) -> (Pipeline, Personas) {
    let mut personas = Vec::new();
    let mut stages: Vec<StagePlan> = Vec::new();
    let summary = section.string("summary").unwrap_or_default();
    let read_only = section.flag("read-only", false);
    let rows = match section.raw("stage").map(|value| (value.get_ref(), value.span())) {
        Some((DeValue::Array(rows), _)) => rows.iter().collect(),
        Some((_, span)) => {
            section.wrong(span, "stages are a list".into(), format!("write [[pipeline.{name}.stage]]"));
            Vec::new()
        }
        None => Vec::new(),
    };
    if rows.is_empty() {
        section.wrong(section.span.clone(), "has no stage".into(), format!("add [[pipeline.{name}.stage]]"));
    }
    for row in rows {
        let file = section.file;
        let Some(mut stage) = Section::new(file, format!("[[pipeline.{name}.stage]]"), row, section.out) else {
            continue;
        };
        let stage_name = stage.needed("name", "\"impl\"").unwrap_or_default();
        if stages.iter().any(|other| other.name == stage_name) {
            let span = stage.span_of("name");
            stage.wrong(span, format!("the stage `{stage_name}` is there twice"), "give each its own name");
        }
        if let Some(work) = work(&mut stage, &mut personas) {
            stages.push(StagePlan { name: stage_name, work });
        }
        stage.finish();
    }
    shape(&mut section, &stages, read_only);
    section.finish();
    (Pipeline { name: name.to_owned(), summary, read_only, stages }, personas)
}

fn work(stage: &mut Section<'_>, personas: &mut Personas) -> Option<StageWork> {
    let persona = stage.string("persona");
    let has_rules = stage.raw("rules").is_some();
    let has_via = stage.raw("via").is_some();
    match (persona, has_rules, has_via) {
        (Some(persona), false, false) => {
            personas.push((persona.clone(), stage.span_of("persona")));
            Some(persona_stage(stage, persona))
        }
        (None, true, false) => {
            let rules: Vec<String> = stage.strings("rules").into_iter().map(|(rule, _)| rule).collect();
            if rules.is_empty() {
                let span = stage.span_of("rules");
                stage.wrong(span, "`rules` names none: nothing would judge the change".into(), "write rules = [\"*\"]");
            }
            stage.choice("on-review", &[("ask", ())], ());
            Some(StageWork::Judge { rules })
        }
        (None, false, true) => {
            if let Some(later @ ("pull-request" | "train")) = stage.raw("via").and_then(|via| via.get_ref().as_str()) {
                let span = stage.span_of("via");
                stage.wrong(span, format!("`via = \"{later}\"` is not built yet"), "use \"branch\"");
                return None;
            }
            let choices = [("branch", Via::Branch), ("reply", Via::Reply), ("none", Via::None)];
            Some(StageWork::Deliver { via: stage.choice("via", &choices, Via::None) })
        }
        _ => {
            stage.wrong(stage.span.clone(), "a stage has exactly one of `persona`, `rules` and `via`".into(), "");
            None
        }
    }
}

fn persona_stage(stage: &mut Section<'_>, persona: String) -> StageWork {
    let mut produces = Vec::new();
    for (artefact, span) in stage.strings("produces") {
        let plain = !artefact.starts_with('.')
            && artefact.chars().all(|c| c.is_ascii_alphanumeric() || "-_.".contains(c))
            && artefact.len() <= 100;
        if plain {
            produces.push(artefact);
        } else {
            stage.wrong(
                span,
                format!("`{artefact}` is no name for an artefact"),
                "letters, digits, dashes and dots, as in \"spec.md\"",
            );
        }
    }
    let fails = stage.raw("expect").is_some();
    let passes = stage.raw("check").is_some();
    if fails && passes {
        let span = stage.span_of("check");
        stage.wrong(span, "`expect` and `check` exclude each other".into(), "tests cannot have to fail and to pass");
    }
    let expect = stage.choice("expect", &[("tests-fail", Expect::TestsFail)], Expect::TestsFail);
    let check = stage.choice("check", &[("tests-pass", Expect::TestsPass)], Expect::TestsPass);
    let check = if fails { Some(expect) } else { passes.then_some(check) };
    let attempts = stage.number("attempts", 1..101, 3) as u32;
    StageWork::Persona { persona, produces, check, attempts }
}

/// A pipeline is personas, then at most one judge, then at most one delivery; a branch is never delivered unjudged.
fn shape(section: &mut Section<'_>, stages: &[StagePlan], read_only: bool) {
    let rank = |stage: &StagePlan| match stage.work {
        StageWork::Persona { .. } => 0,
        StageWork::Judge { .. } => 1,
        StageWork::Deliver { .. } => 2,
    };
    let ranks: Vec<i32> = stages.iter().map(rank).collect();
    let span = section.span.clone();
    if ranks.windows(2).any(|pair| pair[0] > pair[1])
        || ranks.iter().filter(|rank| **rank == 1).count() > 1
        || ranks.iter().filter(|rank| **rank == 2).count() > 1
    {
        section.wrong(
            span.clone(),
            "its stages are out of order".into(),
            "personas first, then one stage with `rules`, then one with `via`",
        );
    }
    let branch = stages.iter().any(|stage| stage.work == StageWork::Deliver { via: Via::Branch });
    if branch && !ranks.contains(&1) {
        section.wrong(
            span.clone(),
            "delivers a branch that nothing judges".into(),
            "put a stage with `rules = [\"*\"]` before it",
        );
    }
    let changes = branch || stages.iter().any(|stage| matches!(stage.work, StageWork::Persona { check: Some(_), .. }));
    if read_only && changes {
        section.wrong(
            span,
            "is read-only, but has a check or delivers a branch".into(),
            "take `read-only` out, or deliver `via = \"reply\"`",
        );
    }
}

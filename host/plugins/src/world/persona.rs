//! World `persona-plugin`: who works, and how.

use super::{each, exports::Exports, wit::persona as wit};
use crate::{
    error::{CallError, Cause},
    guest::Guest,
    plugin::Plugin,
    text::{check_list, clip},
};
use borg_core::persona as core;
use serde_json::Value;
use std::sync::Arc;

/// A loaded persona; cheap to clone, and good for as long as it is held, whatever happens to the file.
#[derive(Clone)]
pub struct Persona {
    pub(crate) plugin: Arc<Plugin>,
    pub(crate) info: Arc<core::PersonaInfo>,
}

impl Persona {
    /// The plugin behind this handle.
    pub fn plugin(&self) -> &Plugin {
        &self.plugin
    }

    /// What `describe` said when the plugin was loaded.
    pub fn info(&self) -> &core::PersonaInfo {
        &self.info
    }

    /// Asks the component again; [`Self::info`] is the same for less.
    pub async fn describe(&self) -> Result<core::PersonaInfo, CallError> {
        describe(&self.plugin.guest, &self.plugin.exports).await
    }

    /// Turns work into orders; the inner error is a refusal for the person who asked. `settings` must have been validated.
    ///
    /// Refused as an answer: more than 1,000 tools or patterns, or one longer than 4 KiB.
    pub async fn brief(
        &self,
        settings: &Value,
        work: &core::Work,
    ) -> Result<Result<core::Assignment, String>, CallError> {
        let work = work_of(settings, work);
        let answer: Result<wit::Assignment, String> = self.plugin.call("brief", (&work,)).await?;
        match answer {
            Ok(assignment) => {
                check_list("tools", &assignment.tools)
                    .and_then(|()| check_list("patterns to write", &assignment.write))
                    .map_err(|why| self.plugin.guest.error("brief", Cause::BadAnswer(why)))?;
                Ok(Ok(assignment.into()))
            }
            Err(refusal) => Ok(Err(clip(refusal))),
        }
    }

    /// Looks at what an attempt left behind.
    pub async fn accept(
        &self,
        settings: &Value,
        work: &core::Work,
        report: &core::Report,
    ) -> Result<core::Acceptance, CallError> {
        let (work, report) = (work_of(settings, work), wit::Report::from(report));
        let acceptance: wit::Acceptance = self.plugin.call("accept", (&work, &report)).await?;
        Ok(acceptance.into())
    }
}

/// Asks the component who it is, once all its functions were found to be those of the contract.
pub(crate) async fn describe(guest: &Guest, exports: &Exports) -> Result<core::PersonaInfo, CallError> {
    let info: wit::PersonaInfo = exports
        .describe(guest, |functions| {
            functions.has::<(&wit::Work,), Result<wit::Assignment, String>>("brief")?;
            functions.has::<(&wit::Work, &wit::Report), wit::Acceptance>("accept")
        })
        .await?;
    check_list("artefacts", &info.produces).map_err(|why| guest.error("describe", Cause::BadAnswer(why)))?;
    Ok(core::PersonaInfo { name: info.name, summary: clip(info.summary), produces: info.produces })
}

fn work_of(settings: &Value, work: &core::Work) -> wit::Work {
    wit::Work {
        task: (&work.task).into(),
        stage: work.stage.clone(),
        attempt: work.attempt,
        handoffs: each(&work.handoffs),
        failure: work.failure.clone(),
        check: work.check.clone(),
        produces: work.produces.clone(),
        settings: settings.to_string(),
        extra: vec![],
    }
}

impl From<wit::Assignment> for core::Assignment {
    fn from(assignment: wit::Assignment) -> Self {
        core::Assignment {
            system_prompt: assignment.system_prompt,
            prompt: assignment.prompt,
            tools: assignment.tools,
            write: assignment.write,
        }
    }
}

impl From<&core::Report> for wit::Report {
    fn from(report: &core::Report) -> Self {
        wit::Report {
            message: report.message.clone(),
            artefacts: each(&report.artefacts),
            changed: report.changed.clone(),
            left_behind: report.left_behind.clone(),
            extra: vec![],
        }
    }
}

impl From<wit::Acceptance> for core::Acceptance {
    fn from(acceptance: wit::Acceptance) -> Self {
        match acceptance {
            wit::Acceptance::Accept => core::Acceptance::Accept,
            wit::Acceptance::Retry(why) => core::Acceptance::Retry(clip(why)),
            wit::Acceptance::Fail(why) => core::Acceptance::Fail(clip(why)),
        }
    }
}

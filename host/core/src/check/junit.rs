//! JUnit XML as pytest writes it (`xunit2` family); other writers of the same elements are understood as well.

use super::{Report, pytest};
use quick_xml::{
    Reader, XmlVersion,
    events::{BytesStart, Event},
};

/// The file is no JUnit report.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    #[error("not well-formed XML")]
    Xml(#[source] quick_xml::Error),
    #[error("a bad attribute")]
    Attribute(#[source] quick_xml::Error),
    #[error("it has no <testsuite>")]
    NoSuite,
}

#[derive(Clone, Copy, PartialEq)]
enum End {
    Passed,
    Failed,
    Errored,
    Skipped,
}

struct Case {
    id: String,
    name: String,
    in_class: bool,
    end: End,
    text: String,
}

/// All test cases of a report.
pub fn read(xml: &str) -> Result<Report, Error> {
    let mut reader = Reader::from_str(xml);
    reader.config_mut().allow_dangling_amp = true;
    let mut report = Report { lists_passed: true, complete: true, ..Report::default() };
    let mut case: Option<Case> = None;
    let mut suites = 0;
    // Cases as listed, and as the suites count them.
    let (mut listed, mut said) = (0, None);
    loop {
        match reader.read_event().map_err(Error::Xml)? {
            Event::Start(start) => match start.local_name().as_ref() {
                "testsuite" | "testsuites" => {
                    suites += 1;
                    count(&start, &mut said)?;
                }
                "testcase" => case = Some(open(&start)?),
                other => mark(case.as_mut(), other),
            },
            Event::Empty(start) => match start.local_name().as_ref() {
                "testsuite" | "testsuites" => {
                    suites += 1;
                    count(&start, &mut said)?;
                }
                "testcase" => {
                    listed += 1;
                    close(&mut report, open(&start)?);
                }
                other => mark(case.as_mut(), other),
            },
            Event::End(end) if end.local_name().as_ref() == "testcase" => {
                if let Some(case) = case.take() {
                    listed += 1;
                    close(&mut report, case);
                }
            }
            Event::Text(text) => {
                if let Some(case) = &mut case {
                    case.text.push_str(&text.xml_content(XmlVersion::Implicit1_0));
                }
            }
            Event::CData(text) => {
                if let Some(case) = &mut case {
                    case.text.push_str(&text.xml_content(XmlVersion::Implicit1_0));
                }
            }
            Event::GeneralRef(entity) => {
                let char = match entity.resolve_char_ref().ok().flatten() {
                    Some(char) => Some(char),
                    None => match &*entity {
                        "lt" => Some('<'),
                        "gt" => Some('>'),
                        "amp" => Some('&'),
                        "quot" => Some('"'),
                        "apos" => Some('\''),
                        _ => None,
                    },
                };
                if let (Some(case), Some(char)) = (&mut case, char) {
                    case.text.push(char);
                }
            }
            Event::Eof => break,
            Event::End(_) | Event::Comment(_) | Event::Decl(_) | Event::PI(_) | Event::DocType(_) => {}
        }
    }
    if suites == 0 {
        return Err(Error::NoSuite);
    }
    // A module that is skipped as a whole may be counted twice and listed once.
    if said.is_some_and(|said| said < listed) {
        report.doubt(format!("the report file lists {listed} tests and counts {}", said.unwrap_or_default()));
    }
    report.counted = Some(report.passed.len() as u64);
    report.settle();
    Ok(report)
}

/// Adds the tests a `<testsuite>` says it has; `<testsuites>` repeats their sum, if it says anything.
fn count(start: &BytesStart<'_>, said: &mut Option<u64>) -> Result<(), Error> {
    if start.local_name().as_ref() != "testsuite" {
        return Ok(());
    }
    for attribute in start.attributes() {
        let attribute = attribute.map_err(|error| Error::Attribute(error.into()))?;
        if attribute.key.as_ref() == "tests" {
            let value = attribute.normalized_value(XmlVersion::Implicit1_0).map_err(Error::Attribute)?;
            *said = value.parse::<u64>().ok().map(|count| count.saturating_add(said.unwrap_or_default()));
        }
    }
    Ok(())
}

fn open(start: &BytesStart<'_>) -> Result<Case, Error> {
    let (mut name, mut class) = (String::new(), String::new());
    for attribute in start.attributes() {
        let attribute = attribute.map_err(|error| Error::Attribute(error.into()))?;
        let value = || attribute.normalized_value(XmlVersion::Implicit1_0).map_err(Error::Attribute);
        match attribute.key.as_ref() {
            "name" => name = value()?.into_owned(),
            "classname" => class = value()?.into_owned(),
            _ => {}
        }
    }
    let id = if class.is_empty() { name.clone() } else { format!("{class}::{name}") };
    Ok(Case { id, name, in_class: !class.is_empty(), end: End::Passed, text: String::new() })
}

fn mark(case: Option<&mut Case>, element: &str) {
    let Some(case) = case else { return };
    let end = match element {
        "failure" => End::Failed,
        "error" => End::Errored,
        "skipped" => End::Skipped,
        _ => return,
    };
    if case.end == End::Passed || case.end == End::Skipped {
        case.end = end;
    }
}

fn close(report: &mut Report, case: Case) {
    match case.end {
        End::Passed => report.passed.push(case.id),
        End::Failed => report.failed.push(case.id),
        End::Skipped => report.skipped.push(case.id),
        // pytest files a module it could not import under no class, by the module's name.
        End::Errored if !case.in_class => match pytest::collection_fault(&case.text) {
            Some(fault) => report.faults.push(fault),
            None => report.errored.push(case.name),
        },
        End::Errored => report.errored.push(case.id),
    }
}

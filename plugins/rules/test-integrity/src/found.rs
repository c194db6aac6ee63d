//! What this rule finds, and how much each weighs: the one table a scorecard tunes.

use borg_sdk::rule::{Finding, Severity};

/// Names of findings, as policies and people know them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Id {
    RemovedTest,
    DeletedTestFile,
    DisabledTest,
    FocusedTest,
    UndiscoverableTest,
    WeakenedAssertion,
    RemovedAssertion,
    EmptiedTest,
    WidenedTolerance,
    ExpectationChanged,
    AlwaysTrue,
    SwallowedFailure,
    EarlyExit,
    FewerCases,
    SubjectRemoved,
    UnreadableTestFile,
}

impl Id {
    pub const ALL: [Id; 16] = [
        Id::RemovedTest,
        Id::DeletedTestFile,
        Id::DisabledTest,
        Id::FocusedTest,
        Id::UndiscoverableTest,
        Id::WeakenedAssertion,
        Id::RemovedAssertion,
        Id::EmptiedTest,
        Id::WidenedTolerance,
        Id::ExpectationChanged,
        Id::AlwaysTrue,
        Id::SwallowedFailure,
        Id::EarlyExit,
        Id::FewerCases,
        Id::SubjectRemoved,
        Id::UnreadableTestFile,
    ];

    pub fn as_str(self) -> &'static str {
        match self {
            Id::RemovedTest => "removed-test",
            Id::DeletedTestFile => "deleted-test-file",
            Id::DisabledTest => "disabled-test",
            Id::FocusedTest => "focused-test",
            Id::UndiscoverableTest => "undiscoverable-test",
            Id::WeakenedAssertion => "weakened-assertion",
            Id::RemovedAssertion => "removed-assertion",
            Id::EmptiedTest => "emptied-test",
            Id::WidenedTolerance => "widened-tolerance",
            Id::ExpectationChanged => "expectation-changed",
            Id::AlwaysTrue => "always-true",
            Id::SwallowedFailure => "swallowed-failure",
            Id::EarlyExit => "early-exit",
            Id::FewerCases => "fewer-cases",
            Id::SubjectRemoved => "subject-removed",
            Id::UnreadableTestFile => "unreadable-test-file",
        }
    }
}

/// Why something is found. One id may be found for several reasons, of which each weighs what it weighs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Why {
    /// What it tests is still there, and no new test calls it.
    Removed,
    /// A new test calls the same code, but is weaker or unlike it.
    RemovedForOtherCases,
    /// A new test calls the same code, and is as strong and alike.
    RemovedForAnother,
    /// What its tests test is still there.
    FileDeleted,
    /// It is skipped wherever it runs.
    Skipped,
    /// It passes when it fails.
    ExpectedToFail,
    /// Something of the project's own decides whether it runs or is expected to fail.
    RunsUnderCondition,
    /// It skips itself before it has checked everything.
    SkipsItself,
    /// The same, where something of the project's own says so.
    SkipsItselfUnderCondition,
    /// It runs alone, and the others of its file do not.
    Focused,
    /// It is there, under a name or without the attribute by which runners find it.
    LeftAsFunction,
    /// Its file went where no runner looks.
    FileWhereNobodyLooks,
    /// Its module is declared nowhere any more.
    ModuleNotCompiled,
    /// An assertion demands less, and none is stronger instead.
    Weakened,
    /// The test has as many of the stronger kind as before: it may be a rewrite.
    WeakenedAmongStronger,
    /// The test goes on calling what it called.
    AssertionLost,
    /// It calls nothing any more of what it called: it is another test by now.
    AssertionLostWithItsCall,
    /// No assertion is left that can fail.
    Emptied,
    /// A width that was there is larger.
    ToleranceWidened,
    /// What was compared exactly is compared roughly.
    ToleranceAdded,
    /// A limit lets more pass.
    LimitMoved,
    /// The opposite is expected of the same thing.
    Flipped,
    /// The change took the same values out of the code and put the new ones in.
    MovedWithTheCode,
    /// Another result for the same input, and code changed too.
    ResultChangedWithCode,
    /// Another result for the same input, and no code changed.
    ResultChangedAlone,
    /// An assertion that cannot fail took the place of one that can.
    AlwaysHolds,
    /// A failed assertion does not reach the runner.
    FailureDropped,
    /// It leaves before it has checked everything.
    LeavesEarly,
    /// The same, under a condition: it may judge enough before that.
    LeavesEarlyUnderCondition,
    /// Rows of its table are gone, and fewer came.
    CasesLost,
    /// What it tested is gone as well: whether that was asked for a person knows.
    WentWithItsSubject,
    /// Its text is not there, and its hunks alone say little.
    NotRead,
}

impl Why {
    /// Id, severity, and confidence from 0 to 100.
    pub fn weight(self) -> (Id, Severity, u8) {
        use Severity::{Critical, Major, Minor, Note};
        match self {
            Why::Removed => (Id::RemovedTest, Critical, 78),
            Why::RemovedForOtherCases => (Id::RemovedTest, Minor, 75),
            Why::RemovedForAnother => (Id::RemovedTest, Note, 60),
            Why::FileDeleted => (Id::DeletedTestFile, Critical, 85),
            Why::Skipped => (Id::DisabledTest, Critical, 90),
            Why::ExpectedToFail => (Id::DisabledTest, Critical, 85),
            Why::RunsUnderCondition => (Id::DisabledTest, Major, 50),
            Why::SkipsItself => (Id::DisabledTest, Critical, 88),
            Why::SkipsItselfUnderCondition => (Id::DisabledTest, Major, 50),
            Why::Focused => (Id::FocusedTest, Critical, 85),
            Why::LeftAsFunction => (Id::UndiscoverableTest, Critical, 88),
            Why::FileWhereNobodyLooks => (Id::UndiscoverableTest, Critical, 85),
            Why::ModuleNotCompiled => (Id::UndiscoverableTest, Critical, 80),
            Why::Weakened => (Id::WeakenedAssertion, Major, 85),
            Why::WeakenedAmongStronger => (Id::WeakenedAssertion, Major, 35),
            Why::AssertionLost => (Id::RemovedAssertion, Major, 60),
            Why::AssertionLostWithItsCall => (Id::RemovedAssertion, Minor, 60),
            Why::Emptied => (Id::EmptiedTest, Critical, 85),
            Why::ToleranceWidened => (Id::WidenedTolerance, Major, 85),
            Why::ToleranceAdded => (Id::WidenedTolerance, Major, 45),
            Why::LimitMoved => (Id::WidenedTolerance, Major, 60),
            Why::Flipped => (Id::ExpectationChanged, Major, 45),
            Why::MovedWithTheCode => (Id::ExpectationChanged, Note, 60),
            Why::ResultChangedWithCode => (Id::ExpectationChanged, Minor, 72),
            Why::ResultChangedAlone => (Id::ExpectationChanged, Minor, 80),
            Why::AlwaysHolds => (Id::AlwaysTrue, Critical, 85),
            Why::FailureDropped => (Id::SwallowedFailure, Critical, 82),
            Why::LeavesEarly => (Id::EarlyExit, Critical, 88),
            Why::LeavesEarlyUnderCondition => (Id::EarlyExit, Major, 42),
            Why::CasesLost => (Id::FewerCases, Major, 70),
            Why::WentWithItsSubject => (Id::SubjectRemoved, Note, 80),
            Why::NotRead => (Id::UnreadableTestFile, Minor, 75),
        }
    }

    /// A finding for this reason that points nowhere yet.
    pub fn finding(self, message: String) -> Finding {
        let (id, severity, confidence) = self.weight();
        Finding::new(id.as_str(), severity, confidence, message)
    }
}

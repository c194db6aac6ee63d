//! What an executor is told of the limits its run was held to: only what the host itself set and saw.

use borg_core::{
    budget::{Budget, Cap, Spent},
    executor::{EndCause, Limit},
    run::Limits,
};

/// The limits of a run that has ended. `left` is what it might spend when its way out was opened, `spent` what it has since, `cap` the limit that
/// a request was refused for.
pub(super) fn told(sandbox: &Limits, left: Budget, spent: &Spent, cap: Option<Cap>, cause: EndCause) -> Vec<Limit> {
    let counted = |name, given, used, reached| Limit { name, given, used: Some(used), reached };
    let seen = |name, given, reached| Limit { name, given, used: None, reached };
    let is_full = cause == EndCause::DiskCap;
    let wall_ms = sandbox.wall_ms.min(left.wall_ms);
    let mut limits = vec![
        counted("turns", left.turns.into(), spent.turns.into(), cap == Some(Cap::Turns)),
        counted("tokens", left.tokens, spent.usage.counted(), cap == Some(Cap::Tokens)),
        counted("cost-micros", left.cost.0, spent.paid().0, cap == Some(Cap::Cost)),
        counted("wall-ms", wall_ms, spent.wall_ms, cap == Some(Cap::Wall) || cause == EndCause::TimedOut),
        seen("memory-bytes", sandbox.memory_bytes, cause == EndCause::OutOfMemory),
        seen("output-bytes", sandbox.output_bytes, cause == EndCause::OutputCap),
        seen("disk-bytes", sandbox.disk_bytes, is_full),
        seen("disk-files", sandbox.disk_files, is_full),
    ];
    if sandbox.idle_ms > 0 {
        limits.push(seen("idle-ms", sandbox.idle_ms, cause == EndCause::Silent));
    }
    limits
}

#[cfg(test)]
mod tests {
    use super::*;
    use borg_core::budget::{MicroUsd, Usage};

    const SANDBOX: Limits = Limits {
        memory_bytes: 1,
        cpu_millis: 1000,
        pids: 9,
        disk_bytes: 2,
        disk_files: 3,
        output_bytes: 4,
        wall_ms: 60_000,
        idle_ms: 5,
    };
    const LEFT: Budget = Budget { turns: 3, tokens: 1_000, cost: MicroUsd(500), wall_ms: 90_000 };

    fn reached(cap: Option<Cap>, cause: EndCause) -> Vec<&'static str> {
        let told = told(&SANDBOX, LEFT, &Spent::default(), cap, cause);
        told.into_iter().filter(|limit| limit.reached).map(|limit| limit.name).collect()
    }

    #[test]
    fn what_stopped_a_run_is_told_by_name() {
        use EndCause::{Cancelled, DiskCap, Exited, Lost, OutOfMemory, OutputCap, Silent, TimedOut};
        let none: [&str; 0] = [];
        for cause in [Exited, Cancelled, Lost] {
            assert_eq!(reached(None, cause), none);
        }
        assert_eq!(reached(Some(Cap::Turns), Exited), ["turns"]);
        assert_eq!(reached(Some(Cap::Tokens), Exited), ["tokens"]);
        assert_eq!(reached(Some(Cap::Cost), Exited), ["cost-micros"]);
        assert_eq!(reached(Some(Cap::Wall), Exited), ["wall-ms"]);
        assert_eq!(reached(None, TimedOut), ["wall-ms"]);
        assert_eq!(reached(None, OutOfMemory), ["memory-bytes"]);
        assert_eq!(reached(None, OutputCap), ["output-bytes"]);
        assert_eq!(reached(None, DiskCap), ["disk-bytes", "disk-files"]);
        assert_eq!(reached(None, Silent), ["idle-ms"]);
    }

    #[test]
    fn used_is_what_budgets_count() {
        let usage = Usage { input_tokens: 10, output_tokens: 20, cache_read_tokens: 4_000, cache_write_tokens: 30 };
        let spent = Spent { turns: 2, usage, cost: MicroUsd(70), notional: MicroUsd(50), wall_ms: 1_234 };
        let told = told(&Limits { idle_ms: 0, ..SANDBOX }, LEFT, &spent, None, EndCause::Exited);
        let figures: Vec<_> = told.iter().map(|limit| (limit.name, limit.given, limit.used)).collect();
        assert_eq!(
            figures[..4],
            [
                ("turns", 3, Some(2)),
                ("tokens", 1_000, Some(60)),
                ("cost-micros", 500, Some(20)),
                ("wall-ms", 60_000, Some(1_234)),
            ]
        );
        assert!(figures[4..].iter().all(|(name, _, used)| used.is_none() && *name != "idle-ms"), "{figures:?}");
    }
}

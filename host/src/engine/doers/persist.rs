//! What may fail for a moment is tried again.

use std::time::Duration;

/// Pauses between tries of what may fail for a moment.
const PAUSES: [Duration; 3] = [Duration::from_secs(1), Duration::from_secs(3), Duration::from_secs(10)];

/// Tries something a few times, with longer and longer pauses; true where it worked.
pub(super) async fn persist<F: Future<Output = bool>>(mut attempt: impl FnMut() -> F) -> bool {
    for pause in PAUSES {
        if attempt().await {
            return true;
        }
        tokio::time::sleep(pause).await;
    }
    attempt().await
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn what_passes_is_waited_for_and_what_does_not_is_given_up() {
        for (failures, works, tries) in [(0, true, 1), (2, true, 3), (3, true, 4), (9, false, 4)] {
            let mut tried = 0;
            let worked = persist(|| {
                tried += 1;
                std::future::ready(tried > failures)
            });
            assert_eq!((worked.await, tried), (works, tries), "{failures}");
        }
    }
}

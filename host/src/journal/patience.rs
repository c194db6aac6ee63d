//! How long the journal is given where it cannot be written or read for now.

use super::JournalError;
use std::time::Duration;
use tokio::time::sleep;

/// Pause between two attempts.
pub const PAUSE: Duration = Duration::from_secs(2);

/// Makes an attempt again and again while it fails for something that passes; each such failure is told. Nothing goes on before there is room,
/// and nothing is lost.
pub async fn patiently<T, Attempt: Future<Output = Result<T, JournalError>>>(
    mut attempt: impl FnMut() -> Attempt,
    tell: impl Fn(&JournalError),
) -> Result<T, JournalError> {
    loop {
        match attempt().await {
            Err(error) if error.is_passing() => tell(&error),
            done => return done,
        }
        sleep(PAUSE).await;
    }
}

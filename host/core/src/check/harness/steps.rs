//! How much is looked at for one change. Texts of a base may be long, and made of variables that are made of variables; whoever wrote
//! them is not to decide how long a check takes.

/// Characters that are looked at for one change: sixteen scripts of the longest that is read, far beyond what any repository has.
pub(super) const MOST: usize = 4 << 20;

/// What is left of them.
#[derive(Debug)]
pub(super) struct Steps {
    left: usize,
    /// Something was not looked at for want of them.
    is_short: bool,
}

impl Steps {
    pub fn new() -> Self {
        Steps { left: MOST, is_short: false }
    }

    /// Takes so many steps and one more; false, and then for ever, where there are not as many left.
    pub fn take(&mut self, count: usize) -> bool {
        match self.left.checked_sub(count.saturating_add(1)) {
            Some(left) => self.left = left,
            None => (self.left, self.is_short) = (0, true),
        }
        !self.is_short
    }

    #[cfg(test)]
    pub fn taken(&self) -> usize {
        MOST - self.left
    }

    pub fn is_short(&self) -> bool {
        self.is_short
    }
}

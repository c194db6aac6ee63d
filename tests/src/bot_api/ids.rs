//! Identifiers of the Bot API. A private chat has the number of its person; groups are negative, supergroups and channels begin with -100.

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct UserId(pub i64);

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ChatId(pub i64);

/// Unique within its chat only.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct MessageId(pub i64);

/// A topic of a forum: the number of the message that created it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct TopicId(pub i64);

/// Who shows up as sender where an administrator speaks for the group.
pub const GROUP_ANONYMOUS_BOT: UserId = UserId(1_087_968_824);
/// Who shows up as sender where somebody speaks for a channel.
pub const CHANNEL_BOT: UserId = UserId(136_817_688);
/// Who shows up as sender of what a linked channel posts into its group.
pub const TELEGRAM: UserId = UserId(777_000);

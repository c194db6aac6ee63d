//! Orders of a small shop. Money is in cents, weight in grams.

/// The sum over pairs of price and quantity.
pub fn subtotal(lines: &[(u64, u64)]) -> u64 {
    lines.iter().map(|(price, quantity)| price * quantity).sum()
}

/// What it costs to send a parcel of this weight; none where there is nothing to send.
pub fn postage(grams: u64) -> Option<u64> {
    match grams {
        0 => None,
        1..=1000 => Some(390),
        _ => Some(590),
    }
}

//! What orders cost without their total.

use shop::{postage, subtotal};

#[test]
fn lines_add_up() {
    assert_eq!(subtotal(&[(250, 2), (100, 1)]), 600);
}

#[test]
fn nothing_costs_nothing() {
    assert_eq!(subtotal(&[]), 0);
}

#[test]
fn a_heavy_parcel_costs_more() {
    assert!(postage(1000) < postage(1001));
}

#[test]
fn a_parcel_weighs_something() {
    assert_eq!(postage(0), None);
}

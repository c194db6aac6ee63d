//! Medians, figures, and whose turn it is.

use borg_tests::measure::{Compared, Row, compare, median, seconds};

#[test]
fn the_middle_is_found() {
    assert_eq!(median(vec![9.0, 1.0, 5.0]), 5.0);
    assert_eq!(median(vec![4.0, 1.0, 2.0, 100.0]), 3.0);
}

#[test]
fn figures_have_three_digits_and_a_unit() {
    let rows = [(0.000_018_43, "18.4 µs"), (0.001_234, "1.23 ms"), (0.25, "250 ms"), (12.0, "12.0 s")];
    for (figure, wanted) in rows {
        assert_eq!(seconds(figure), wanted);
    }
    let row = Row::times("x", Compared { ours: 0.5, bare: 0.25, ratio: 1.5 });
    assert_eq!(row.to_string(), "| x | 500 ms | 250 ms | 1.50 (+250 ms) |");
}

#[tokio::test]
async fn both_ways_take_turns_and_the_first_round_does_not_count() {
    let order = std::cell::RefCell::new(String::new());
    let values = std::cell::Cell::new(1000.0);
    let ours = async || {
        order.borrow_mut().push('o');
        Ok(values.replace(6.0))
    };
    let bare = async || {
        order.borrow_mut().push('b');
        Ok(2.0)
    };
    let compared = compare(2, ours, bare).await.unwrap();
    assert_eq!(compared, Compared { ours: 6.0, bare: 2.0, ratio: 3.0 });
    assert_eq!(order.into_inner(), "obboob");
}

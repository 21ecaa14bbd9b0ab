//! What is made of measured values.

use super::*;

#[test]
fn a_ratio_is_the_middle_of_the_ratios_of_the_rounds() {
    let mut report = Report::default();
    for (name, baseline, rates) in
        [("own", Some("other"), [10.0, 30.0, 20.0]), ("other", None, [10.0, 10.0, 40.0])]
    {
        let mut row = Row::new(name, baseline);
        for rate in rates {
            row.add("rate", rate);
        }
        report.rows.push(row);
    }
    let expected = Summary { median: 1.0, min: 0.5, max: 3.0 };
    assert_eq!(report.ratio(&report.rows[0]), Some(expected));
    assert_eq!(report.ratio(&report.rows[1]), None);
}

#[test]
fn pairs_are_compared_besides_baselines_and_latencies_too() {
    let mut report = Report::default();
    for (name, baseline, p50) in [("all", None, 4.0), ("own", Some("all"), 2.0)] {
        let mut row = Row::new(name, baseline);
        row.add("p50_us", p50);
        report.rows.push(row);
    }
    assert!(report.compared().is_empty() && report.table_of_pairs().is_empty());
    report.pairs.push(("all".to_owned(), "own".to_owned()));
    assert_eq!(report.compared(), [("own", "all"), ("all", "own")]);
    let [_, _, (title, ratio), _] = report.ratios("all", "own").unwrap();
    assert_eq!((title, ratio.map(|ratio| ratio.median)), ("p50", Some(2.0)));
    assert!(report.ratios("all", "nothing").unwrap().iter().all(|(_, it)| it.is_none()));
}

#[test]
fn the_median_of_an_even_number_is_between_the_two_in_the_middle() {
    assert_eq!(Summary::of(&[4.0, 1.0, 2.0, 3.0]).map(|summary| summary.median), Some(2.5));
    assert_eq!(Summary::of(&[]), None);
}

#[test]
fn spans_are_shown_sorted_and_in_microseconds() {
    let mut report = Report::default();
    report.add_spans("nothing", Vec::new());
    report.add_spans("seen", [30, 10, 20].map(Duration::from_micros).into());
    let (names, values): (Vec<_>, Vec<_>) =
        report.facts.iter().map(|(name, value, _)| (name.as_str(), value.round())).unzip();
    assert_eq!(names, ["seen, p50 of 3", "seen, p99 of 3", "seen, max of 3"]);
    assert_eq!(values, [20.0, 30.0, 30.0]);
}

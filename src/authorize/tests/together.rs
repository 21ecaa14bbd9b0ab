//! Several questions at once are answered as they are one after the other.

use super::*;

const TIMES: usize = 3;

/// A question about one of these keys, or about none.
#[derive(Clone, Copy, Debug)]
enum About {
    Good,
    Limited,
    Inactive,
    OtherEnvironment,
    Unknown,
    Garbled,
    Nothing,
    /// There are fewer questions than there is room for.
    Absent,
}

const ALL: [About; 8] = [
    About::Good,
    About::Limited,
    About::Inactive,
    About::OtherEnvironment,
    About::Unknown,
    About::Garbled,
    About::Nothing,
    About::Absent,
];

struct Keys([Token; 5]);

impl Keys {
    fn hot(&self) -> (Hot, Applier) {
        let [good, limited, inactive, other, _unknown] = &self.0;
        hot(&[
            opened_by(good).id(id(1)),
            opened_by(limited).id(id(2)).limits(&["smooth:rate:1:1000000:5"]),
            opened_by(inactive).id(id(3)).inactive(),
            opened_by(other).id(id(4)).environment("staging"),
        ])
    }

    fn text(&self, about: About) -> Option<&str> {
        let [good, limited, inactive, other, unknown] = &self.0;
        Some(match about {
            About::Good => good.reveal(),
            About::Limited => limited.reveal(),
            About::Inactive => inactive.reveal(),
            About::OtherEnvironment => other.reveal(),
            About::Unknown => unknown.reveal(),
            About::Garbled => "kw_prod_garbled",
            About::Nothing => "",
            About::Absent => return None,
        })
    }
}

/// What there is to see of an outcome.
fn shown(outcome: &Result<Outcome, NotReady>) -> String {
    match outcome {
        Ok(it) => {
            let key = it.key.as_ref().map(|key| key.id);
            let readings = it.verdict.iter().flat_map(Verdict::readings);
            let readings: Vec<_> =
                readings.map(|(gauge, reading)| (gauge.limit, reading)).collect();
            format!("{:?} {key:?} {readings:?} {:?}", it.decision, it.retry_after)
        }
        Err(error) => format!("{error:?}"),
    }
}

proptest! {
    #[test]
    fn together_and_one_after_the_other_come_to_the_same(
        about in prop::collection::vec(prop::sample::select(&ALL[..]), TOGETHER * TIMES),
        revision_min in prop::sample::select(vec![0, 7, 8]),
    ) {
        let keys = Keys(std::array::from_fn(|_| token()));
        let ((one, _), (other, _)) = (keys.hot(), keys.hot());
        let terms = Terms { revision_min, ..TERMS };
        let question = question(DATA);
        for about in about.chunks(TOGETHER) {
            let cases: [Option<Case<'_>>; TOGETHER] = std::array::from_fn(|at| {
                Some(Case { presented: keys.text(about[at])?.into(), question, terms })
            });
            let mut together = [const { None }; TOGETHER];
            authorize_together(&one, &cases, |at, outcome| together[at] = Some(outcome));
            for (case, outcome) in cases.iter().zip(&together) {
                let alone = case
                    .map(|case| authorize(&other, case.presented, &case.question, case.terms));
                prop_assert_eq!(outcome.as_ref().map(shown), alone.as_ref().map(shown));
            }
        }
        let uses = |hot: &Hot| {
            let mut uses = hot.ledger.drain();
            uses.sort_unstable();
            uses
        };
        prop_assert_eq!(uses(&one), uses(&other));
    }
}

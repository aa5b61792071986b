//! Weighted variants, and the walk that picks one for a bucket (`wire.md`, "Assignment").

use super::js;
use serde_json::Value;

/// Buckets per percent of weight.
const BUCKETS_PER_WEIGHT: f64 = 10_000.0;

/// One choice and its share of the sessions.
#[derive(Clone, Debug, PartialEq)]
pub struct Variant<T> {
    /// In percent. NaN where the server's value is no number: then neither it nor any variant after it wins
    /// by its share, as in JavaScript.
    pub weight: f64,
    pub choice: T,
}

/// Variants in the order in which they are walked.
#[derive(Clone, Debug, PartialEq)]
pub struct Variants<T>(Vec<Variant<T>>);

impl<T> Variants<T> {
    pub fn new(variants: Vec<Variant<T>>) -> Self {
        Self(variants)
    }

    /// Reads variants as the server gives them: an array, or an object, which is walked as JavaScript walks it.
    ///
    /// Whatever else stands there is no variants at all. `choice` reads one variant; it is called for a broken
    /// one too, which keeps its place, so that the indexes and shares of the others stay. What is no object
    /// weighs nothing.
    pub fn from_json(value: Option<&Value>, choice: impl Fn(&Value) -> T) -> Self {
        let values = match value {
            Some(Value::Array(values)) => values.iter().collect(),
            Some(Value::Object(object)) => js::values_in_order(object),
            _ => Vec::new(),
        };
        let variant = |value: &Value| Variant { weight: weight(value), choice: choice(value) };
        Self(values.into_iter().map(variant).collect())
    }

    /// The index of the variant for a bucket; `None` when there are no variants.
    ///
    /// The first whose end lies above the bucket wins, else the last. The sum is a 64-bit float and is never
    /// rounded: `1.005 * 10000` is `10049.999999999998`, and bucket 10,050 is outside.
    pub fn walk(&self, bucket: u32) -> Option<usize> {
        let bucket = f64::from(bucket);
        let mut cumulative = 0.0;
        let within = |variant: &Variant<T>| {
            cumulative += variant.weight * BUCKETS_PER_WEIGHT;
            bucket < cumulative
        };
        self.0.iter().position(within).or_else(|| self.0.len().checked_sub(1))
    }

    pub fn get(&self, index: usize) -> Option<&Variant<T>> {
        self.0.get(index)
    }

    pub fn len(&self) -> usize {
        self.0.len()
    }

    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

fn weight(variant: &Value) -> f64 {
    match variant {
        Value::Object(fields) => js::to_number(fields.get("weight")),
        _ => 0.0,
    }
}

#[cfg(test)]
mod tests {
    use super::super::bucket::BUCKETS;
    use super::*;
    use proptest::prelude::*;
    use serde_json::json;

    fn weighing(weights: &[f64]) -> Variants<()> {
        Variants::new(weights.iter().map(|&weight| Variant { weight, choice: () }).collect())
    }

    /// The same walk over the server's JSON.
    fn walk(variants: &Value, bucket: u32) -> Option<usize> {
        Variants::from_json(Some(variants), |_| ()).walk(bucket)
    }

    #[test]
    fn no_variants_no_choice() {
        for value in [json!([]), json!({}), json!(null), json!("x"), json!(3)] {
            assert_eq!(walk(&value, 0), None, "{value}");
        }
        assert!(Variants::from_json(None, |_| ()).is_empty());
    }

    #[test]
    fn weights_are_never_rounded() {
        let variants = weighing(&[1.005, 98.995]);
        assert_eq!(variants.walk(10_049), Some(0));
        assert_eq!(variants.walk(10_050), Some(1));
    }

    #[test]
    fn a_weight_that_is_no_number_leaves_the_rest_to_the_last_as_in_javascript() {
        for weight in [json!({"weight": "half"}), json!({})] {
            let variants = json!([{"weight": 10}, weight, {"weight": 40}, {"weight": 10}]);
            assert_eq!(walk(&variants, 99_999), Some(0));
            assert_eq!(walk(&variants, 100_000), Some(3));
        }
    }

    #[test]
    fn a_variant_that_is_no_object_takes_no_share_and_keeps_its_place() {
        let variants = json!([{"weight": 50}, null, "x", {"weight": 50}]);
        assert_eq!(walk(&variants, 499_999), Some(0));
        assert_eq!(walk(&variants, 500_000), Some(3));
    }

    #[test]
    fn weights_beyond_a_hundred_percent_leave_nothing_for_the_last() {
        assert_eq!(weighing(&[60.0, 60.0, 60.0]).walk(BUCKETS - 1), Some(1));
    }

    /// Whole percents that sum up to 100.
    fn percents() -> impl Strategy<Value = Vec<u32>> {
        prop::collection::vec(0..=100_u32, 0..12).prop_map(|mut cuts| {
            cuts.extend([0, 100]);
            cuts.sort_unstable();
            cuts.windows(2).map(|pair| pair[1] - pair[0]).collect()
        })
    }

    proptest! {
        #[test]
        fn every_variant_gets_exactly_its_share(percents in percents()) {
            let weights: Vec<_> = percents.iter().map(|&percent| f64::from(percent)).collect();
            let variants = weighing(&weights);
            let mut start = 0;
            for (index, percent) in percents.iter().enumerate() {
                let end = start + percent * 10_000;
                if start < end {
                    prop_assert_eq!(variants.walk(start), Some(index));
                    prop_assert_eq!(variants.walk(end - 1), Some(index));
                }
                start = end;
            }
            prop_assert_eq!(start, BUCKETS);
        }

        #[test]
        fn every_bucket_has_a_variant_whatever_the_weights(
            weights in prop::collection::vec(any::<f64>(), 1..8),
            bucket in 0..BUCKETS,
        ) {
            let index = weighing(&weights).walk(bucket);
            prop_assert!(index.is_some_and(|index| index < weights.len()));
        }

        #[test]
        fn a_weight_as_text_gives_what_the_number_gives(weight in 0.0..200.0_f64, bucket in 0..BUCKETS) {
            let number = json!([{"weight": weight}, {"weight": 1}]);
            let text = json!([{"weight": weight.to_string()}, {"weight": "1"}]);
            prop_assert_eq!(walk(&number, bucket), walk(&text, bucket));
        }

        #[test]
        fn a_later_bucket_never_gets_an_earlier_variant(
            weights in prop::collection::vec(0.0..100.0_f64, 1..8),
            (low, high) in (0..BUCKETS, 0..BUCKETS).prop_map(|(a, b)| (a.min(b), a.max(b))),
        ) {
            // Past the end of all shares the last one takes over, so this holds there too.
            let variants = weighing(&weights);
            prop_assert!(variants.walk(low) <= variants.walk(high));
        }
    }
}

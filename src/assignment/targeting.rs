//! Rules that pick a variant by who is asking (`wire.md`, "Assignment").
//!
//! `individualTargets` are tried in order, then `rules` in order; the first match decides. Read once, when the
//! list arrives, so that an assignment only compares. What cannot be read never matches: a broken rule must not
//! take all sessions.

use super::js;
use serde_json::{Map, Value};

/// Who is asking: the fields that targeting looks at.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Context(Map<String, Value>);

impl Context {
    /// The caller's own fields, as JSON decoded them, and the session's customer as `customerId`.
    ///
    /// A customer that is not empty wins over a field of that name; an empty one counts as absent.
    pub fn new(mut fields: Map<String, Value>, customer_id: Option<&str>) -> Self {
        if let Some(customer_id) = customer_id.filter(|id| !id.is_empty()) {
            fields.insert("customerId".into(), customer_id.into());
        }
        Self(fields)
    }

    fn get(&self, field: &str) -> Option<&Value> {
        self.0.get(field)
    }
}

/// The targeting of one config.
#[derive(Clone, Debug, PartialEq)]
pub struct Targeting {
    individual_targets: Vec<IndividualTarget>,
    rules: Vec<Rule>,
}

/// Picks a variant where one field has one value.
#[derive(Clone, Debug, PartialEq)]
struct IndividualTarget {
    condition: Condition,
    variant_index: Option<usize>,
}

/// Picks a variant where all conditions hold; where there are none, always.
#[derive(Clone, Debug, PartialEq)]
struct Rule {
    conditions: Vec<Condition>,
    /// `None` for what can be no index, such as -1 or 1.5.
    variant_index: Option<usize>,
}

/// What must hold of one field. A field that is missing fails it, whatever the operator.
#[derive(Clone, Debug, PartialEq)]
struct Condition {
    field: String,
    operator: Operator,
}

/// An operator with its value. All are case-sensitive. An equality with no value is one with `undefined`, to
/// which no JSON value is equal.
#[derive(Clone, Debug, PartialEq)]
enum Operator {
    Eq(Option<Value>),
    Neq(Option<Value>),
    In(Vec<Value>),
    Nin(Vec<Value>),
    Contains(String),
    StartsWith(String),
    EndsWith(String),
    /// An unknown operator, or a value that the operator cannot take.
    Never,
}

impl Targeting {
    /// Reads a config's `targeting`; `None` where it is missing, no object, or `enabled` is `false`.
    pub fn from_json(value: Option<&Value>) -> Option<Self> {
        let fields = value?.as_object()?;
        if fields.get("enabled") == Some(&Value::Bool(false)) {
            return None;
        }
        Some(Self {
            individual_targets: list(fields, "individualTargets", IndividualTarget::from_json),
            rules: list(fields, "rules", Rule::from_json),
        })
    }

    /// The variant that the first match names, in range or not; `None` where nothing matches, or the match
    /// names what can be no index. Either way no later rule is tried, and the hash decides.
    pub fn first_match(&self, context: &Context) -> Option<usize> {
        let target = self.individual_targets.iter().find(|target| target.condition.holds(context));
        if let Some(target) = target {
            return target.variant_index;
        }
        self.rules.iter().find(|rule| rule.matches(context))?.variant_index
    }
}

impl IndividualTarget {
    fn from_json(value: &Value) -> Option<Self> {
        let field = value.get("field")?.as_str()?.to_owned();
        let operator = Operator::Eq(value.get("value").cloned());
        Some(Self { condition: Condition { field, operator }, variant_index: variant_index(value) })
    }
}

impl Rule {
    fn from_json(value: &Value) -> Option<Self> {
        let conditions = value.get("conditions")?.as_array()?;
        // One that cannot be read takes its rule with it: the others alone would match too much.
        let conditions = conditions.iter().map(Condition::from_json).collect::<Option<_>>()?;
        Some(Self { conditions, variant_index: variant_index(value) })
    }

    fn matches(&self, context: &Context) -> bool {
        self.conditions.iter().all(|condition| condition.holds(context))
    }
}

impl Condition {
    fn from_json(value: &Value) -> Option<Self> {
        let field = value.get("field")?.as_str()?.to_owned();
        let operator = Operator::new(value.get("operator")?.as_str()?, value.get("value"));
        Some(Self { field, operator })
    }

    fn holds(&self, context: &Context) -> bool {
        context.get(&self.field).is_some_and(|actual| self.operator.holds(actual))
    }
}

impl Operator {
    fn new(name: &str, value: Option<&Value>) -> Self {
        match (name, value) {
            ("eq", value) => Self::Eq(value.cloned()),
            ("neq", value) => Self::Neq(value.cloned()),
            ("in", Some(Value::Array(values))) => Self::In(values.clone()),
            ("nin", Some(Value::Array(values))) => Self::Nin(values.clone()),
            ("contains", Some(Value::String(text))) => Self::Contains(text.clone()),
            ("startsWith", Some(Value::String(text))) => Self::StartsWith(text.clone()),
            ("endsWith", Some(Value::String(text))) => Self::EndsWith(text.clone()),
            _ => Self::Never,
        }
    }

    fn holds(&self, actual: &Value) -> bool {
        let equals = |value: &Value| js::strictly_equal(actual, value);
        let text = |test: &dyn Fn(&str) -> bool| actual.as_str().is_some_and(test);
        match self {
            Self::Eq(value) => value.as_ref().is_some_and(equals),
            Self::Neq(value) => !value.as_ref().is_some_and(equals),
            Self::In(values) => values.iter().any(equals),
            Self::Nin(values) => !values.iter().any(equals),
            Self::Contains(part) => text(&|actual| actual.contains(part.as_str())),
            Self::StartsWith(start) => text(&|actual| actual.starts_with(start.as_str())),
            Self::EndsWith(end) => text(&|actual| actual.ends_with(end.as_str())),
            Self::Never => false,
        }
    }
}

/// The readable entries of a list; none where there is no list.
fn list<T>(fields: &Map<String, Value>, name: &str, read: impl Fn(&Value) -> Option<T>) -> Vec<T> {
    let values = fields.get(name).and_then(Value::as_array);
    values.into_iter().flatten().filter_map(read).collect()
}

fn variant_index(value: &Value) -> Option<usize> {
    usize::try_from(js::integer(value.get("variantIndex")?)?).ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn context(fields: Value) -> Context {
        Context::new(serde_json::from_value(fields).unwrap(), None)
    }

    /// Whether a rule of this one condition takes a session with these fields.
    fn takes(operator: &str, value: Value, fields: Value) -> bool {
        let condition = json!({"field": "f", "operator": operator, "value": value});
        let targeting = json!({"rules": [{"conditions": [condition], "variantIndex": 1}]});
        Targeting::from_json(Some(&targeting)).unwrap().first_match(&context(fields)) == Some(1)
    }

    fn first_match(targeting: Value, fields: Value) -> Option<usize> {
        Targeting::from_json(Some(&targeting)).and_then(|targeting| targeting.first_match(&context(fields)))
    }

    #[test]
    fn a_missing_field_fails_every_operator() {
        for (operator, value) in [
            ("eq", json!("x")),
            ("eq", json!(null)),
            ("neq", json!("x")),
            ("in", json!(["x", null])),
            ("nin", json!(["x"])),
            ("contains", json!("")),
            ("startsWith", json!("")),
            ("endsWith", json!("")),
        ] {
            assert!(!takes(operator, value, json!({})), "{operator}");
        }
    }

    #[test]
    fn a_field_that_is_null_is_there() {
        assert!(takes("eq", json!(null), json!({"f": null})));
        assert!(takes("neq", json!("x"), json!({"f": null})));
        assert!(takes("in", json!([null]), json!({"f": null})));
    }

    #[test]
    fn a_number_is_not_its_text() {
        assert!(takes("eq", json!(1), json!({"f": 1.0})));
        assert!(!takes("eq", json!("1"), json!({"f": 1})));
        assert!(takes("nin", json!(["1"]), json!({"f": 1})));
        assert!(!takes("contains", json!("1"), json!({"f": 1})));
    }

    #[test]
    fn lists_and_objects_are_equal_to_nothing() {
        for value in [json!([]), json!(["a"]), json!({}), json!({"a": 1})] {
            assert!(!takes("eq", value.clone(), json!({"f": value})));
            assert!(takes("neq", value.clone(), json!({"f": value})));
            assert!(!takes("in", json!([value]), json!({"f": value})));
            assert!(takes("nin", json!([value]), json!({"f": value})));
        }
    }

    #[test]
    fn a_value_that_the_operator_cannot_take_matches_nobody() {
        assert!(!takes("nin", json!("x"), json!({"f": "y"})));
        assert!(!takes("in", json!({"0": "y"}), json!({"f": "y"})));
        assert!(!takes("startsWith", json!(["y"]), json!({"f": "y"})));
        assert!(!takes("EQ", json!("y"), json!({"f": "y"})));
    }

    #[test]
    fn an_equality_without_a_value_is_one_with_undefined() {
        let rule = |operator: &str| json!({"rules": [{"conditions": [{"field": "f", "operator": operator}], "variantIndex": 1}]});
        assert_eq!(first_match(rule("eq"), json!({"f": null})), None);
        assert_eq!(first_match(rule("neq"), json!({"f": null})), Some(1));
    }

    #[test]
    fn a_target_beats_a_rule_and_the_first_target_the_next() {
        let targeting = json!({
            "rules": [{"conditions": [], "variantIndex": 3}],
            "individualTargets": [
                {"field": "f", "value": "a", "variantIndex": 1},
                {"field": "f", "value": "a", "variantIndex": 2},
            ],
        });
        assert_eq!(first_match(targeting.clone(), json!({"f": "a"})), Some(1));
        assert_eq!(first_match(targeting, json!({"f": "b"})), Some(3));
    }

    #[test]
    fn a_match_that_names_no_index_ends_the_search() {
        for index in [json!(-1), json!(1.5), json!("1"), json!(null)] {
            let targeting = json!({
                "individualTargets": [{"field": "f", "value": "a", "variantIndex": index}],
                "rules": [{"conditions": [], "variantIndex": 1}],
            });
            assert_eq!(first_match(targeting, json!({"f": "a"})), None, "{index}");
        }
    }

    #[test]
    fn only_false_switches_targeting_off() {
        let targeting =
            |enabled: Value| json!({"enabled": enabled, "rules": [{"conditions": [], "variantIndex": 1}]});
        assert_eq!(first_match(targeting(json!(false)), json!({})), None);
        for enabled in [json!(true), json!(null), json!(0), json!("")] {
            assert_eq!(first_match(targeting(enabled), json!({})), Some(1));
        }
    }

    #[test]
    fn what_cannot_be_read_matches_nobody_and_spoils_nothing() {
        for broken in [json!(null), json!("x"), json!({"variantIndex": 0}), json!({"conditions": [null]})] {
            let targeting = json!({"individualTargets": [broken], "rules": [broken, {"conditions": [], "variantIndex": 1}]});
            assert_eq!(first_match(targeting, json!({"f": "a"})), Some(1), "{broken}");
        }
        for broken in [json!(null), json!("on"), json!([]), json!({"rules": 3, "individualTargets": {}})] {
            assert_eq!(first_match(broken, json!({})), None);
        }
    }

    #[test]
    fn a_customer_wins_over_the_field_of_its_name_unless_it_is_empty() {
        let fields = json!({"customerId": "other"}).as_object().unwrap().clone();
        let customer = |id| Context::new(fields.clone(), id).get("customerId").cloned();
        assert_eq!(customer(Some("vip")), Some(json!("vip")));
        assert_eq!(customer(Some("")), Some(json!("other")));
        assert_eq!(customer(None), Some(json!("other")));
    }

    #[test]
    fn fields_of_every_javascript_object_are_no_fields_of_a_context() {
        let targeting = json!({"rules": [{"conditions": [{"field": "toString", "operator": "neq", "value": "x"}], "variantIndex": 1}]});
        assert_eq!(first_match(targeting, json!({})), None);
    }
}

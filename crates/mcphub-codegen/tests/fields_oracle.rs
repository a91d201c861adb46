//! Fields that are JSONPath take what another reader of RFC 9535 takes.

use mcphub_core::call::Fields;
use proptest::prelude::*;
use serde_json::{Value, json};
use serde_json_path::JsonPath;

/// Values that are alike enough to be equal now and then.
fn value() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        (-2..3).prop_map(Value::from),
        (-2..3).prop_map(|half| json!(f64::from(half) / 2.0)),
        "[ab]{0,2}".prop_map(Value::from),
    ];
    leaf.prop_recursive(3, 24, 3, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
            prop::collection::btree_map("[abc]", inner, 0..4).prop_map(|members| json!(members)),
        ]
    })
}

/// Places from the end are in the answers table: this reader finds nothing by one alone.
fn singular() -> impl Strategy<Value = String> {
    r"[@$](\.[abc]|\[[0-2]\]|\['a'\]){0,2}"
}

fn query() -> impl Strategy<Value = String> {
    r"[@$](\.[abc]|\.\*|\.\.[abc]|\.\.\*|\[[12]\]|\[0,1\]|\['a','b'\]|\[::-2\]|\[:2\]){0,2}"
}

fn comparable() -> impl Strategy<Value = String> {
    prop_oneof![
        3 => singular(),
        2 => r#"-?[12]|0|0\.5|1e0|true|false|null|'a'|"ab"|''"#,
        1 => singular().prop_map(|of| format!("length({of})")),
        1 => query().prop_map(|of| format!("count({of})")),
        1 => query().prop_map(|of| format!("value({of})")),
    ]
}

fn condition() -> impl Strategy<Value = String> {
    let test = prop_oneof![
        1 => query(),
        1 => query().prop_map(|query| format!("!{query}")),
        // Without orders, which the answers table has: of two values that have none this reader says
        // otherwise (2.3.5.2.2).
        4 => (comparable(), " ?(==|!=) ?", comparable())
            .prop_map(|(left, sign, right)| left + &sign + &right),
    ];
    test.prop_recursive(3, 8, 2, |inner| {
        prop_oneof![
            (inner.clone(), inner.clone()).prop_map(|(left, right)| format!("{left} && {right}")),
            (inner.clone(), inner.clone()).prop_map(|(left, right)| format!("{left}||{right}")),
            inner.clone().prop_map(|inner| format!("!({inner})")),
            inner.clone().prop_map(|inner| format!("( {inner} )")),
            inner.prop_map(|inner| format!("@[?{inner}]")),
        ]
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2_000))]

    #[test]
    fn a_filter_takes_what_the_standard_says(
        items in prop::collection::vec(value(), 0..5),
        condition in condition(),
    ) {
        let path = format!("$[?{condition}]");
        let whole = Value::from(items);
        let fields = Fields::parse(&[&path]);
        let oracle = JsonPath::parse(&path);
        prop_assert_eq!(fields.is_ok(), oracle.is_ok(), "{}", path);
        if let (Ok(fields), Ok(oracle)) = (fields, oracle) {
            let picked = fields.of(&whole.to_string()).unwrap();
            let picked: Value = serde_json::from_str(&picked.json).unwrap();
            prop_assert_eq!(picked, json!(oracle.query(&whole).all()), "{}", path);
        }
    }

    #[test]
    fn what_is_no_filter_is_none(text in r#"[@$a.\[\]?*'!()&|=<> 01,:-]{1,12}"#) {
        let path = format!("$[?{text}]");
        let (fields, oracle) = (Fields::parse(&[&path]), JsonPath::parse(&path));
        // More is read than the standard has before and after a filter, not in it.
        prop_assert!(fields.is_ok() || oracle.is_err() || path.len() > 512, "{}", path);
    }
}

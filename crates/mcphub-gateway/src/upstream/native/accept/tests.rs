use super::*;
use proptest::prelude::*;
use serde_json::json;

fn fits(schema: Value, text: &str) -> bool {
    Accept::new(&schema).fits(text)
}

#[test]
fn types_members_and_items_are_understood() {
    let book = json!({
        "type": "object", "title": "Book", "required": ["isbn", "id"],
        "properties": {
            "isbn": {"type": "string", "format": "isbn"},
            "price": {"type": ["number", "null"]},
            "stock": {"type": "integer"},
            "tags": {"type": "array", "items": {"type": "string"}},
            "next": {"anyOf": [{"$ref": "#/$defs/Book"}, {"type": "null"}]},
            "open": {},
        },
        "additionalProperties": {"type": "boolean"},
    });
    let schema = json!({"$ref": "#/$defs/Book", "$defs": {"Book": book}});
    for (text, expected) in [
        (r#"{"isbn":"1","id":true}"#, true),
        (
            r#"{"isbn":"1","id":true,"price":null,"tags":["a","\u0062"],"x":false}"#,
            true,
        ),
        (
            r#"{"isbn":"1","id":true,"next":{"id":false,"isbn":"2","next":null}}"#,
            true,
        ),
        (
            r#"{"i\u0073bn":"1","id":true,"open":{"a":[1,{}]},"stock":-7}"#,
            true,
        ),
        (r#"{"isbn":"1"}"#, false),
        (r#"{"isbn":"1","id":1}"#, false),
        (r#"{"isbn":"1","id":true,"tags":["a",1]}"#, false),
        (r#"{"isbn":"1","id":true,"next":{"isbn":"2"}}"#, false),
        (r#"{"isbn":1,"isbn":"1","id":true}"#, false),
        (r#"{"isbn":"1","id":true,"stock":1.5}"#, false),
        (r#"{"isbn":"1","id":true} x"#, false),
        (r#"{"isbn":"1","id":true"#, false),
        ("null", false),
    ] {
        assert_eq!(fits(schema.clone(), text), expected, "{text}");
    }
}

#[test]
fn definitions_may_be_nullable_be_others_or_be_themselves() {
    let schema = |definitions: Value| json!({"$ref": "#/$defs/A", "$defs": definitions});
    let nullable = json!({"anyOf": [{"type": "null"}, {"type": "string"}]});
    assert!(fits(schema(json!({"A": nullable})), "null"));
    let chain =
        json!({"A": {"$ref": "#/$defs/B"}, "B": {"$ref": "#/$defs/C"}, "C": {"type": "integer"}});
    assert!(fits(schema(chain.clone()), "1") && !fits(schema(chain), r#""1""#));
    let pair = json!({"type": "array", "items": {"$ref": "#/$defs/A"}});
    assert!(fits(schema(json!({"A": pair})), "[[],[[]]]"));
    for loops in [
        json!({"A": {"$ref": "#/$defs/A"}}),
        json!({"A": {"anyOf": [{"$ref": "#/$defs/A"}, {"type": "null"}]}}),
    ] {
        assert!(!fits(schema(loops), "1"));
    }
}

#[test]
fn arguments_are_held_against_bounds_and_choices() {
    let accept = Accept::new(&json!({
        "type": "object", "required": ["n"], "additionalProperties": false,
        "properties": {
            "n": {"type": "integer", "minimum": 1, "maximum": 9},
            "s": {"type": "string", "minLength": 2, "maxLength": 3},
            "e": {"type": "string", "enum": ["a", "b"], "default": "a"},
            "l": {"type": "array", "items": {"type": "number"}, "maxItems": 1},
        },
    }));
    for (text, expected) in [
        (r#"{"n":9,"s":"äöü","e":"b","l":[1.5]}"#, true),
        (r#"{"n":1}"#, true),
        (r#"{"n":0}"#, false),
        (r#"{"n":1.5}"#, false),
        (r#"{"n":18446744073709551615}"#, false),
        (r#"{"n":1,"s":"ä"}"#, false),
        (r#"{"n":1,"s":"abcd"}"#, false),
        (r#"{"n":1,"e":"c"}"#, false),
        (r#"{"n":1,"l":[1,2]}"#, false),
        (r#"{"n":1,"x":1}"#, false),
        ("{}", false),
    ] {
        let arguments = Arguments::parse(text).unwrap();
        assert_eq!(accept.fits_all(&arguments), expected, "{text}");
    }
}

#[test]
fn what_is_not_understood_is_left_to_the_validator() {
    for schema in [
        json!(false),
        json!({"enum": [["a"]]}),
        json!({"type": "string", "pattern": "a"}),
        json!({"type": "string", "minLength": 2}),
        json!({"$ref": "#/$defs/none"}),
        json!({"$ref": "#/$defs/A", "type": "string", "$defs": {"A": {}}}),
        json!({"anyOf": [{"type": "string"}, {"type": "integer"}]}),
        json!({"type": "stringy"}),
    ] {
        assert!(!fits(schema.clone(), r#""a""#), "{schema}");
    }
}

fn schemas() -> impl Strategy<Value = Value> {
    let types = [
        "null", "boolean", "integer", "number", "string", "array", "object",
    ];
    let leaf = prop_oneof![
        prop::sample::select(types.to_vec()).prop_map(|name| json!({"type": name})),
        prop::sample::subsequence(types.to_vec(), 1..4)
            .prop_map(|names| json!({"type": names})),
        Just(json!({})),
        Just(json!({"enum": [1, "a"]})),
        prop::sample::subsequence(vec!["", "a", "\"", "aa"], 1..3)
            .prop_map(|texts| json!({"enum": texts})),
        (-2_i64..2, 0_i64..3, any::<bool>()).prop_map(|(least, more, whole)| {
            let kind = if whole { "integer" } else { "number" };
            json!({"type": kind, "minimum": least, "maximum": least + more})
        }),
        (0_u64..2, 0_u64..2).prop_map(|(least, more)| {
            json!({"minLength": least, "maxLength": least + more, "minItems": least, "maxItems": least + more})
        }),
        Just(json!({"$ref": "#/$defs/A"})),
        any::<bool>().prop_map(Value::Bool),
    ];
    leaf.prop_recursive(4, 24, 4, |inner| {
        let members = prop::collection::btree_map("[ab]", inner.clone(), 0..3);
        let names = prop::collection::btree_set("[abc]", 0..3);
        prop_oneof![
            inner.clone().prop_map(|items| json!({"items": items})),
            inner
                .clone()
                .prop_map(|other| json!({"anyOf": [other, {"type": "null"}]})),
            (members, names, inner).prop_map(|(members, names, others)| {
                json!({"properties": members, "required": names, "additionalProperties": others})
            }),
        ]
    })
}

fn values() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::Bool),
        (-3_i64..3).prop_map(Value::from),
        Just(json!(1.0)),
        Just(json!(0.5)),
        "[a\"]{0,2}".prop_map(Value::String),
    ];
    leaf.prop_recursive(4, 24, 4, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..3).prop_map(Value::Array),
            prop::collection::hash_map("[abcd]", inner, 0..4)
                .prop_map(|members| Value::Object(members.into_iter().collect())),
        ]
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2_000))]

    #[test]
    fn whatever_it_accepts_the_validator_accepts(root in schemas(), shared in schemas(), value in values()) {
        let schema = json!({"allOf": [root], "$defs": {"A": shared}});
        // A definition that is only itself has no meaning that could be compared.
        prop_assume!(shared.get("$ref").is_none());
        let mut own = root.as_object().cloned().unwrap_or_default();
        own.insert("$defs".into(), json!({"A": shared}));
        let accept = Accept::new(&Value::Object(own));
        let is_valid = || jsonschema::draft202012::new(&schema).unwrap().is_valid(&value);
        let text = value.to_string();
        if root.is_object() && accept.fits(&text) {
            prop_assert!(is_valid());
        }
        if let (true, Ok(arguments)) = (root.is_object(), Arguments::parse(&text)) {
            // The schema of arguments is no reference to another.
            let whole = root.get("$ref").or(root.get("anyOf")).is_none();
            prop_assert!(accept.fits_all(&arguments) == accept.fits(&text) || !whole);
            prop_assert!(!accept.fits_all(&arguments) || is_valid());
        }
    }
}

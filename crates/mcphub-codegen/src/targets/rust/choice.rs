//! Arguments that are one of a few texts get types, which tools share.

use serde::Serialize;

use super::kind::{Base, Kind};
use super::literal::{rust_attribute, rust_literal};
use super::names::{TypeNames, pascal};

/// All of a project.
#[derive(Debug, Default)]
pub(super) struct Choices {
    names: TypeNames,
    all: Vec<(Vec<String>, Choice)>,
}

/// A type of one of a few texts, as its template needs it.
#[derive(Debug, Serialize)]
pub(super) struct Choice {
    name: String,
    variants: Vec<Variant>,
}

#[derive(Debug, Serialize)]
struct Variant {
    name: String,
    /// The attribute that says what the text is, where it is not the name.
    rename: String,
}

impl Choices {
    /// The Rust type of an argument, called by its name where its schema has none.
    pub(super) fn rust_type(&mut self, kind: &Kind, tool: &str, argument: &str) -> String {
        let base = match &kind.base {
            Base::Any => "Value".to_owned(),
            Base::Text => "String".to_owned(),
            Base::Number => "Number".to_owned(),
            Base::Bool => "bool".to_owned(),
            Base::Object => "Map<String, Value>".to_owned(),
            Base::List(items) => format!("Vec<{}>", self.rust_type(items, tool, argument)),
            Base::Choice(texts, definition) => {
                let name = definition.as_deref().unwrap_or(argument);
                format!("choices::{}", self.name(texts, tool, name))
            }
        };
        if kind.nullable {
            format!("Option<{base}>")
        } else {
            base
        }
    }

    /// The types in the order in which they were met.
    pub(super) fn into_all(self) -> Vec<Choice> {
        self.all.into_iter().map(|(_, choice)| choice).collect()
    }

    fn name(&mut self, texts: &[String], tool: &str, close_to: &str) -> String {
        let mut known = self.all.iter();
        if let Some((_, choice)) = known.find(|(known, _)| known == texts) {
            return choice.name.clone();
        }
        let short = pascal(close_to, "choice");
        let name = if self.names.take(&short) {
            short
        } else {
            self.names.name(&format!("{tool}_{close_to}"), "choice")
        };
        let mut variants = TypeNames::default();
        let variants = texts.iter().map(|text| {
            let name = variants.variant(&spoken(text));
            let value = format!("rename = {}", rust_literal(text));
            let rename = match name == *text {
                true => String::new(),
                false => rust_attribute("serde", &[value], 4),
            };
            Variant { name, rename }
        });
        let choice = Choice {
            name: name.clone(),
            variants: variants.collect(),
        };
        self.all.push((texts.to_vec(), choice));
        name
    }
}

/// A text with words for what no name can hold.
fn spoken(text: &str) -> String {
    match text {
        "" => "empty".to_owned(),
        text => match text.strip_prefix('-') {
            Some(rest) => format!("minus {rest}"),
            None => text.to_owned(),
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_same_texts_are_one_type_and_others_another() {
        let mut choices = Choices::default();
        let mut name = |texts: &[&str], tool: &str, argument: &str| {
            let texts: Vec<_> = texts.iter().map(|text| (*text).to_owned()).collect();
            choices.name(&texts, tool, argument)
        };
        assert_eq!(name(&["a", "b"], "listBooks", "sort"), "Sort");
        assert_eq!(name(&["a", "b"], "listOrders", "order"), "Sort");
        assert_eq!(name(&["b"], "listOrders", "sort"), "ListOrdersSort");
        assert_eq!(name(&["c"], "x", "option"), "XOption");
    }

    #[test]
    fn every_text_has_a_variant() {
        let mut choices = Choices::default();
        let texts = ["", "price", "-price", "日本", "1d", "Self", "Plain", "a\"b"];
        choices.name(&texts.map(str::to_owned), "t", "sort");
        let [choice] = &choices.into_all()[..] else {
            panic!("one type");
        };
        let names: Vec<_> = choice.variants.iter().map(|v| v.name.as_str()).collect();
        assert_eq!(
            names,
            [
                "Empty",
                "Price",
                "MinusPrice",
                "Value",
                "Value1d",
                "SelfItem",
                "Plain",
                "AB"
            ]
        );
        assert_eq!(choice.variants[6].rename, "");
        assert_eq!(choice.variants[7].rename, r#"#[serde(rename = "a\"b")]"#);
    }
}

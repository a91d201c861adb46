//! The answers table: what becomes of JSON answers. `fields.json` has groups of rows
//! `[fields, answer, result, absent fields]`; `{"refused": true}` is fields that are none. `pages.json` has what an API
//! answers by path and query, the pages as one, and the line for the model. Every executor of
//! bindings is held against the same rows.

use std::collections::BTreeMap;

use mcphub_core::spec::Method;
use mcphub_core::tool::{AnswerBinding, FieldsBinding, HttpBinding, PagesBinding};
use serde::Deserialize;
use serde_json::{Map, Value, json};

/// Rows of fields that have something in common.
#[derive(Deserialize)]
#[allow(dead_code, reason = "not everyone tells which row it was")]
pub struct FieldsGroup {
    pub name: String,
    pub standard: String,
    pub rows: Vec<FieldsRow>,
}

/// Fields, an answer, what they leave of it, and which of them it does not have.
#[derive(Deserialize)]
#[serde(from = "Vec<Value>")]
pub struct FieldsRow {
    pub fields: Vec<String>,
    pub answer: Value,
    /// `None`: the fields are refused.
    pub left: Option<Value>,
    pub absent: Vec<String>,
}

impl From<Vec<Value>> for FieldsRow {
    fn from(cells: Vec<Value>) -> Self {
        let cell = |at: usize| cells.get(at).cloned().unwrap_or_default();
        Self {
            fields: serde_json::from_value(cell(0)).unwrap(),
            answer: cell(1),
            left: Some(cell(2)).filter(|left| *left != json!({"refused": true})),
            absent: serde_json::from_value::<Option<_>>(cell(3))
                .unwrap()
                .unwrap_or_default(),
        }
    }
}

impl FieldsRow {
    /// The line for the model.
    #[allow(dead_code, reason = "for those who call tools")]
    pub fn note(&self) -> Option<String> {
        (!self.absent.is_empty()).then(|| format!("[the answer has no {}]", self.absent.join(", ")))
    }
}

/// Rows of one binding.
#[derive(Deserialize)]
#[allow(dead_code, reason = "not everyone tells which row it was")]
pub struct PagesGroup {
    pub name: String,
    pub standard: String,
    pub pages: PagesBinding,
    /// Query parameters.
    pub parameters: Vec<String>,
    /// Members of a JSON body, which is posted where there are some; each is the argument of its name.
    #[serde(default)]
    pub members: Vec<String>,
    pub rows: Vec<PagesRow>,
}

/// One call.
#[derive(Deserialize)]
pub struct PagesRow {
    pub name: String,
    pub pages: u32,
    pub arguments: Map<String, Value>,
    /// By path and query after the base URL, and the body after a space; each is asked once.
    pub answers: BTreeMap<String, PageAnswer>,
    pub merged: Value,
    pub note: Option<String>,
}

#[derive(Deserialize, Clone, Debug)]
pub struct PageAnswer {
    #[serde(default = "ok")]
    pub status: u16,
    pub link: Option<String>,
    pub body: Value,
}

fn ok() -> u16 {
    200
}

pub fn fields() -> Vec<FieldsGroup> {
    let groups: Vec<FieldsGroup> = serde_json::from_str(include_str!("fields.json")).unwrap();
    assert!(groups.iter().map(|group| group.rows.len()).sum::<usize>() >= 90);
    groups
}

pub fn pages() -> Vec<PagesGroup> {
    let groups: Vec<PagesGroup> = serde_json::from_str(include_str!("pages.json")).unwrap();
    assert!(groups.iter().map(|group| group.rows.len()).sum::<usize>() >= 28);
    groups
}

/// The argument that holds fields.
#[allow(dead_code, reason = "for those who call tools")]
pub fn fields_binding() -> HttpBinding {
    let mut binding = binding(&[]);
    binding.answer = AnswerBinding {
        rest: None,
        fields: Some(FieldsBinding::Argument("fields".to_owned())),
        pages: None,
    };
    binding
}

impl PagesGroup {
    /// `GET /fixed` with the parameters, or `POST /fixed` with the members, and the secret `key` in
    /// the query.
    pub fn binding(&self) -> HttpBinding {
        let mut binding = binding(&self.parameters);
        if !self.members.is_empty() {
            let member = |name: &String| json!({"argument": name, "name": name});
            let members: Vec<_> = self.members.iter().map(member).collect();
            binding.method = Method::Post;
            binding.body = serde_json::from_value(json!({
                "mediaType": "application/json", "format": "json", "required": false,
                "source": {"members": members},
            }))
            .unwrap();
        }
        binding.security = vec![vec!["key".to_owned()]];
        binding.answer = AnswerBinding {
            rest: None,
            fields: None,
            pages: Some(self.pages.clone()),
        };
        binding
    }
}

fn binding(parameters: &[String]) -> HttpBinding {
    let parameter = |name: &String| json!({"argument": name, "name": name, "in": "query", "required": false, "style": "form", "explode": true});
    let parameters: Vec<_> = parameters.iter().map(parameter).collect();
    serde_json::from_value(
        json!({"method": "GET", "path": "/fixed", "accept": "*/*", "parameters": parameters}),
    )
    .unwrap()
}

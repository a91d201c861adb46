//! What becomes of an answer before it is a result.

use serde::{Deserialize, Serialize};

use crate::spec::NextPage;

/// The most pages that one call reads.
pub const MAX_PAGES: u32 = 20;

/// What a tool does with a JSON answer besides passing it on.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct AnswerBinding {
    /// Which fields stay.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub fields: Option<FieldsBinding>,
    /// How one call reads several pages.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pages: Option<PagesBinding>,
    /// The argument that asks for the rest of a long answer, where the schema has it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rest: Option<String>,
}

impl AnswerBinding {
    /// Whether nothing is said here.
    pub fn is_plain(&self) -> bool {
        self.passes_on() && self.rest.is_none()
    }

    /// Whether a whole answer is passed on as it is.
    pub fn passes_on(&self) -> bool {
        self.fields.is_none() && self.pages.is_none()
    }

    /// The arguments that are for this and not for the API.
    pub fn arguments(&self) -> impl Iterator<Item = &str> {
        let fields = match &self.fields {
            Some(FieldsBinding::Argument(argument)) => Some(argument.as_str()),
            _ => None,
        };
        let pages = self.pages.as_ref().map(|pages| pages.argument.as_str());
        pages.into_iter().chain(fields).chain(self.rest.as_deref())
    }
}

/// Which fields of a JSON answer stay ([`Fields`](crate::call::Fields)).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
#[non_exhaustive]
pub enum FieldsBinding {
    /// These, whatever is asked for.
    Only(Vec<String>),
    /// Those in the list that this argument holds; all without it.
    Argument(String),
}

/// How one call reads several pages of a list.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct PagesBinding {
    /// The argument that says how many pages to read, 1 to [`MAX_PAGES`]; 1 without it.
    pub argument: String,
    /// Where the list is in a page: names of members from the top. None where the page is the list.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub items: Vec<String>,
    /// What leads to the next page.
    pub next: NextPage,
}

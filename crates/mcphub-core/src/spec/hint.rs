//! What a document says about its tools by the extension `x-mcp`.

use serde_json::Value;

use super::NextPage;

/// What an operation's `x-mcp` says of its tool, in place of what the operation itself says.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ToolHints {
    /// The name that is asked for.
    pub name: Option<String>,
    /// The title.
    pub title: Option<String>,
    /// The whole description.
    pub description: Option<String>,
    /// `readOnlyHint`: the call asks for no change.
    pub read_only: Option<bool>,
    /// `destructiveHint`: the call may destroy something.
    pub destructive: Option<bool>,
    /// `idempotentHint`: the same call twice is as good as once.
    pub idempotent: Option<bool>,
    /// `openWorldHint`: the call reaches a world outside the model's.
    pub open_world: Option<bool>,
    /// Which fields of a JSON answer stay.
    pub fields: Option<FieldsHint>,
    /// How one call reads several pages.
    pub pages: Option<PagesHint>,
    /// Whether there is an argument that asks for the rest of a long answer; where absent, the kinds
    /// of its answers decide.
    pub rest: Option<bool>,
}

/// Which fields of a JSON answer stay.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum FieldsHint {
    /// All.
    All,
    /// Those that an argument asks for.
    Argument,
    /// These ([`Fields`](crate::call::Fields)).
    Only(Vec<String>),
}

/// How one call reads several pages.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum PagesHint {
    /// It does not.
    One,
    /// As the operation itself shows.
    Found,
    /// In this way.
    By {
        /// Where the list is in a page: names of members from the top; as the schema shows where
        /// absent.
        items: Option<Vec<String>>,
        /// What leads to the next page.
        next: NextPage,
    },
}

/// What the `x-mcp` of a parameter, or of a member of a body, says of its argument.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ArgumentHints {
    /// The name that is asked for.
    pub name: Option<String>,
    /// The description.
    pub description: Option<String>,
    /// Whether there is no such argument.
    pub hidden: bool,
    /// What every call sends, in place of an argument.
    pub value: Option<Value>,
}

//! What leads from one page of a list to the next.

use serde::{Deserialize, Serialize};

/// What leads from one page to the next.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "by", rename_all = "camelCase")]
#[non_exhaustive]
pub enum NextPage {
    /// `Link: <…>; rel="next"` (RFC 8288, 3).
    Link,
    /// A URL in the page; none on the last one.
    Url {
        /// Where: names of members from the top.
        at: Vec<String>,
    },
    /// A value in the page that the next request takes; none on the last page.
    Cursor {
        /// Where: names of members from the top.
        at: Vec<String>,
        /// The name of the parameter on the wire.
        parameter: String,
        /// Where the parameter is.
        #[serde(rename = "in", default, skip_serializing_if = "PageLocation::is_query")]
        location: PageLocation,
    },
    /// A parameter with the number of the page. The page after the last has no items.
    Page {
        /// The name of the parameter on the wire.
        parameter: String,
        /// Where the parameter is.
        #[serde(rename = "in", default, skip_serializing_if = "PageLocation::is_query")]
        location: PageLocation,
        /// The number of the first page.
        first: u64,
    },
    /// A parameter with the number of the first item of a page. The page after the last has none.
    Offset {
        /// The name of the parameter on the wire.
        parameter: String,
        /// Where the parameter is.
        #[serde(rename = "in", default, skip_serializing_if = "PageLocation::is_query")]
        location: PageLocation,
        /// The number of the first item of all.
        first: u64,
    },
}

/// Where a request says which page it asks for.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
#[non_exhaustive]
pub enum PageLocation {
    /// In its query.
    #[default]
    Query,
    /// In a member of its body, which is a JSON object.
    Body,
}

impl PageLocation {
    /// Whether it does so in its query.
    pub fn is_query(&self) -> bool {
        *self == Self::Query
    }
}

impl NextPage {
    /// The member of a JSON body that says which page is asked for, where one does.
    pub fn body_member(&self) -> Option<&str> {
        match self {
            Self::Cursor {
                parameter,
                location: PageLocation::Body,
                ..
            }
            | Self::Page {
                parameter,
                location: PageLocation::Body,
                ..
            }
            | Self::Offset {
                parameter,
                location: PageLocation::Body,
                ..
            } => Some(parameter),
            _ => None,
        }
    }
}

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
    /// A value in the page that a query parameter takes; none on the last page.
    Cursor {
        /// Where: names of members from the top.
        at: Vec<String>,
        /// The name of the parameter on the wire.
        parameter: String,
    },
    /// A query parameter with the number of the page. The page after the last has no items.
    Page {
        /// The name of the parameter on the wire.
        parameter: String,
        /// The number of the first page.
        first: u64,
    },
    /// A query parameter with the number of the first item of a page. The page after the last has
    /// none.
    Offset {
        /// The name of the parameter on the wire.
        parameter: String,
        /// The number of the first item of all.
        first: u64,
    },
}

//! The data file of one tool in a project.

use mcphub_core::schema::Schema;
use mcphub_core::spec::XmlShape;
use mcphub_core::tool::{BodyFormat, Tool};
use serde::Serialize;

/// The schemas of a tool, and how its body becomes XML.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct SchemaFile<'a> {
    input_schema: &'a Schema,
    #[serde(skip_serializing_if = "Option::is_none")]
    output_schema: Option<&'a Schema>,
    /// Of tools whose body is made into XML.
    #[serde(skip_serializing_if = "Option::is_none")]
    xml: Option<XmlShape>,
}

impl<'a> SchemaFile<'a> {
    pub(super) fn of(tool: &'a Tool) -> Self {
        let body = tool.binding.body.as_ref();
        let body = body.filter(|body| body.format == BodyFormat::Xml);
        Self {
            input_schema: &tool.input,
            output_schema: tool.output.as_ref(),
            xml: body.map(|body| body.xml.clone().unwrap_or_default()),
        }
    }
}

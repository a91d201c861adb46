//! Which description language a document is written in.

use mcphub_core::spec::Dialect;
use mcphub_core::{Error, ErrorKind, Result};

use super::node::{Node, Object};
use super::place::Place;
use super::remark::{Remarks, kind, shown};

/// The document's object and its dialect, by major and minor version alone.
///
/// # Errors
/// `InvalidDocument` that says what was found instead of an OpenAPI document; `Unsupported` for
/// versions before 2.0 and after 3.
pub(super) fn dialect<'d>(
    document: &'d Node<'d>,
    remarks: &mut Remarks,
) -> Result<(&'d Object<'d>, Dialect)> {
    let Node::Object(root) = document else {
        return Err(invalid(format!(
            "this is not an OpenAPI document: expected an object with the member `openapi`, found {}",
            kind(document)
        )));
    };
    if let Some(swagger) = root.get("swagger") {
        return swagger20(root, swagger, remarks).map(|()| (root, Dialect::Swagger20));
    }
    let Some(version) = root.get("openapi") else {
        return Err(invalid(not_openapi(root)));
    };
    let at = Place::ROOT.key("openapi");
    let Some(written) = text(version) else {
        return Err(invalid(format!(
            "`openapi` should be a version such as \"3.0.3\", found {}",
            kind(version)
        )));
    };
    if !version.is_string() {
        remarks.warn("wrong-type", at, || {
            format!("the version is a number; write it as a string: \"{written}\"")
        });
    }
    let mut parts = written.trim().split('.').map(str::parse::<u32>);
    match (parts.next(), parts.next()) {
        (Some(Ok(3)), Some(Ok(0)) | None) => Ok((root, Dialect::OpenApi30)),
        (Some(Ok(3)), Some(Ok(1))) => Ok((root, Dialect::OpenApi31)),
        (Some(Ok(3)), Some(Ok(2))) => Ok((root, Dialect::OpenApi32)),
        (Some(Ok(3)), Some(Ok(_))) => {
            remarks.info("newer-version", at, || {
                format!("OpenAPI {written} is read as 3.2; what is new in it is left out")
            });
            Ok((root, Dialect::OpenApi32))
        }
        (Some(Ok(_)), _) => Err(Error::new(
            ErrorKind::Unsupported,
            format!(
                "OpenAPI {} is not read; 3.0, 3.1 and 3.2 are",
                shown(&written)
            ),
        )),
        _ => Err(invalid(format!(
            "`openapi` should be a version such as \"3.0.3\", found {}",
            shown(&written)
        ))),
    }
}

fn swagger20(root: &Object<'_>, version: &Node<'_>, remarks: &mut Remarks) -> Result<()> {
    let written = text(version).unwrap_or_else(|| kind(version).to_owned());
    if !matches!(written.trim(), "2.0" | "2" | "2.0.0") {
        return Err(Error::new(
            ErrorKind::Unsupported,
            format!(
                "Swagger {} is not read; 2.0 and OpenAPI 3 are",
                shown(&written)
            ),
        ));
    }
    let at = Place::ROOT.key("swagger");
    if !version.is_string() {
        remarks.warn("wrong-type", at, || {
            "the version is a number; write it as a string: \"2.0\"".to_owned()
        });
    }
    if root.contains_key("openapi") {
        remarks.warn("two-versions", at, || {
            "the document has `swagger` and `openapi`; it is read as Swagger 2.0".to_owned()
        });
    }
    Ok(())
}

fn invalid(message: String) -> Error {
    Error::new(ErrorKind::InvalidDocument, message)
}

fn text(value: &Node<'_>) -> Option<String> {
    match value {
        Node::String(text) => Some(text.as_ref().to_owned()),
        Node::Number(number) => Some(number.to_string()),
        _ => None,
    }
}

fn not_openapi(root: &Object<'_>) -> String {
    const SHOWN: usize = 8;
    for (key, name) in [
        ("asyncapi", "an AsyncAPI document"),
        ("swaggerVersion", "a document of Swagger 1"),
        ("overlay", "an Overlay, which changes another document"),
        ("arazzo", "an Arazzo description of workflows"),
        ("openrpc", "an OpenRPC document"),
        ("discoveryVersion", "a Google discovery document"),
        ("__export_format", "an Insomnia export"),
        ("mcpServers", "a client's configuration of MCP servers"),
        ("$schema", "a JSON Schema"),
        ("kind", "a Kubernetes object"),
    ] {
        if root.contains_key(key) {
            return format!(
                "this is not an OpenAPI document but {name}: it has `{key}` and no `openapi`"
            );
        }
    }
    let mut found: Vec<_> = root.keys().take(SHOWN).map(shown).collect();
    if root.len() > SHOWN {
        found.push(format!("{} more", root.len() - SHOWN));
    }
    let found = if found.is_empty() {
        "no members".to_owned()
    } else {
        found.join(", ")
    };
    format!("this is not an OpenAPI document: it has no member `openapi`; found {found}")
}

//! The statements of bodies that are made of parts.

use mcphub_core::tool::{
    BodyBinding, MemberBinding, PartBinding, PartHeaderBinding, PartListBinding,
};

use super::function::{Parameters, own_argument, style_literal};
use super::literal::{bracketed, python_literal};

/// A member of an object that becomes parts, and their headers.
pub(super) fn field(member: &MemberBinding, parameters: &Parameters) -> Vec<String> {
    let value = parameters.name(&member.argument);
    let mut arguments = vec![python_literal(&member.name), value.to_owned()];
    arguments.extend(member.part.iter().flat_map(options));
    // JSON is the one media type that a form takes for a style.
    if let Some(how) = member
        .serialization
        .as_ref()
        .filter(|how| how.content.is_none())
    {
        arguments.push(format!("style={}", style_literal(how.style)));
        arguments.extend((!how.explode).then(|| "explode=False".to_owned()));
    }
    arguments.extend(own_argument(&member.name, &member.argument));
    let headers = member.part.as_ref().map(|part| part.headers.as_slice());
    described(
        "form.field(",
        &arguments,
        headers.unwrap_or_default(),
        parameters,
    )
}

/// A list whose items become parts by their position.
pub(super) fn list(
    body: &BodyBinding,
    list: &PartListBinding,
    mut arguments: Vec<String>,
    parameters: &Parameters,
) -> Vec<String> {
    arguments.push(format!("media_type={}", python_literal(&body.media_type)));
    let mut lines = vec![bracketed(
        "form = request.multipart_list(",
        &arguments,
        ")",
        4,
    )];
    let next = list.prefix.iter().map(|part| ("form.next(", part));
    for (head, part) in next.chain([("form.rest(", &list.items)]) {
        let arguments: Vec<_> = options(part).collect();
        lines.extend(described(head, &arguments, &part.headers, parameters));
    }
    lines
}

/// A statement that adds parts, and one for each of their headers.
fn described(
    head: &str,
    arguments: &[String],
    headers: &[PartHeaderBinding],
    parameters: &Parameters,
) -> Vec<String> {
    if headers.is_empty() {
        return vec![bracketed(head, arguments, ")", 4)];
    }
    let mut lines = vec![bracketed(&format!("form_part = {head}"), arguments, ")", 4)];
    lines.extend(headers.iter().map(|header| {
        let mut arguments = vec![
            python_literal(&header.name),
            parameters.name(&header.argument).to_owned(),
            format!("argument={}", python_literal(&header.argument)),
        ];
        arguments.extend(header.required.then(|| "required=True".to_owned()));
        arguments.extend(header.explode.then(|| "explode=True".to_owned()));
        bracketed("form_part.header(", &arguments, ")", 4)
    }));
    lines
}

/// How a part is written where its value does not say it.
fn options(part: &PartBinding) -> impl Iterator<Item = String> {
    let file = part.file.then(|| "file=True".to_owned());
    let media_type = part.media_type.as_deref();
    let media_type = media_type.map(|name| format!("media_type={}", python_literal(name)));
    file.into_iter().chain(media_type)
}

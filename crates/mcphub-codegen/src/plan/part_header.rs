//! Headers of the parts of a multipart body, as arguments (OpenAPI 3.0.4, Encoding Object, `headers`).

use mcphub_core::spec::{Encoding, PartHeader};
use mcphub_core::tool::{BodyBinding, BodyFormat, BodySource, PartHeaderBinding};
use serde_json::Value;

use super::body::Chosen;
use super::input::{Root, Shape, described, object};

/// A header of a part, on its way to an argument.
pub(super) struct HeaderOfPart<'c> {
    part: PlaceOfPart<'c>,
    name: &'c str,
    header: &'c PartHeader,
    /// The name that the argument would have.
    pub(super) wanted: String,
    /// Whether there is no call without it.
    required: bool,
}

/// Which part it is.
#[derive(Clone, Copy)]
enum PlaceOfPart<'c> {
    Member(&'c str),
    Prefix(usize),
    Items,
}

/// The headers of all parts of a body, in the order of the parts; none of a body without parts.
pub(super) fn part_headers<'c>(shape: &Shape<'c>, chosen: &Chosen<'c>) -> Vec<HeaderOfPart<'c>> {
    let content = chosen.content;
    let mut out = Vec::new();
    let mut add = |part: PlaceOfPart<'c>, stem: &str, encoding: &'c Encoding, sure: bool| {
        for (name, header) in &encoding.headers {
            // Which field a part is, is said there.
            let is_member = matches!(part, PlaceOfPart::Member(_));
            if is_member && name.eq_ignore_ascii_case("content-disposition") {
                continue;
            }
            out.push(HeaderOfPart {
                part,
                name,
                header,
                wanted: format!("{stem}_{name}"),
                required: sure && header.required,
            });
        }
    };
    match shape {
        Shape::Members(members) if chosen.format == BodyFormat::Multipart => {
            for (member, _) in &members.properties {
                let Some(encoding) = content.encoding.get(*member) else {
                    continue;
                };
                let sure = chosen.body.required && members.required.contains(member);
                add(PlaceOfPart::Member(member), member, encoding, sure);
            }
        }
        Shape::Parts(..) => {
            for (at, encoding) in content.prefix_encoding.iter().enumerate() {
                let stem = format!("part{}", at + 1);
                add(PlaceOfPart::Prefix(at), &stem, encoding, false);
            }
            if let Some(encoding) = &content.item_encoding {
                add(PlaceOfPart::Items, "part", encoding, false);
            }
        }
        _ => {}
    }
    out
}

impl HeaderOfPart<'_> {
    /// Adds the argument, or what every call sends where the document allows one value alone.
    pub(super) fn bind(self, argument: String, body: &mut BodyBinding, root: &mut Root) {
        let part = match (self.part, &mut body.source) {
            (PlaceOfPart::Member(name), BodySource::Members(members)) => {
                let member = members.iter_mut().find(|member| member.name == name);
                member.map(|member| member.part.get_or_insert_default())
            }
            (PlaceOfPart::Prefix(at), _) => body.parts.get_or_insert_default().prefix.get_mut(at),
            _ => Some(&mut body.parts.get_or_insert_default().items),
        };
        let Some(part) = part else { return };
        let schema = described(&self.header.schema, self.header.description.as_deref());
        match constant(&self.header.schema) {
            Some(value) => root.preset(&argument, value, object(&self.header.schema)),
            None => root.add(&argument, schema, self.required),
        }
        part.headers.push(PartHeaderBinding {
            argument,
            name: self.name.to_owned(),
            required: self.header.required,
            explode: self.header.explode,
        });
    }
}

/// The one value that a schema allows.
fn constant(schema: &Value) -> Option<&Value> {
    let one = || match schema.get("enum")?.as_array()?.as_slice() {
        [one] => Some(one),
        _ => None,
    };
    schema.get("const").or_else(one)
}

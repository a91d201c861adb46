//! Names that HTTP has rules for: tokens, and the media types that are made of them.

/// A token (RFC 9110, 5.6.2): what names of headers and the parts of media types are made of.
pub(super) fn is_token(text: &str) -> bool {
    !text.is_empty()
        && text
            .bytes()
            .all(|byte| byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte))
}

/// A media type in lower case and without parameters; `None` when it is none.
pub(super) fn essence(name: &str) -> Option<String> {
    let essence = name.split(';').next().unwrap_or_default().trim();
    is_media_type(essence).then(|| essence.to_ascii_lowercase())
}

/// Whether a media type is XML (RFC 7303).
pub(super) fn is_xml(media_type: &str) -> bool {
    matches!(media_type, "application/xml" | "text/xml") || media_type.ends_with("+xml")
}

/// Whether a body is never sent as XML where it can be sent as this.
pub(super) fn comes_before_xml(media_type: &str) -> bool {
    media_type.ends_with("/json")
        || media_type.ends_with("+json")
        || media_type.starts_with("multipart/")
        || media_type == "application/x-www-form-urlencoded"
}

fn is_media_type(text: &str) -> bool {
    text.len() <= 255
        && text
            .split_once('/')
            .is_some_and(|(kind, subtype)| is_token(kind) && is_token(subtype))
}

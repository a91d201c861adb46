//! The `Accept` header (RFC 9110, 12.5.1).

use mcphub_core::spec::Response;

/// The most media types that are listed.
const MAX: usize = 8;

/// Whether a media type is JSON (RFC 6839, 3.1).
pub(crate) fn is_json(media_type: &str) -> bool {
    media_type == "application/json" || media_type == "text/json" || media_type.ends_with("+json")
}

/// JSON first, then what else the document promises for success, then anything.
pub(super) fn accept(responses: &[Response]) -> String {
    let mut json = Vec::new();
    let mut other = Vec::new();
    for (media_type, _) in responses
        .iter()
        .filter(|response| response.is_success())
        .flat_map(|r| &r.content)
    {
        let list = if is_json(media_type) {
            &mut json
        } else {
            &mut other
        };
        if media_type != "*/*" && list.len() < MAX && !list.contains(&media_type.as_str()) {
            list.push(media_type.as_str());
        }
    }
    if json.is_empty() && other.is_empty() {
        return "application/json, */*;q=0.5".to_owned();
    }
    let json = json.into_iter().map(str::to_owned);
    let other = other
        .into_iter()
        .map(|media_type| format!("{media_type};q=0.5"));
    let mut all: Vec<String> = json.chain(other).take(MAX).collect();
    all.push("*/*;q=0.1".to_owned());
    all.join(", ")
}

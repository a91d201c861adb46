//! Server Object and Server Variable Object.

use super::Walk;
use super::node::{Node, Object};
use super::place::Place;
use super::remark::shown;

/// The most servers of one list; those after them are never asked.
const MAX_SERVERS: usize = 64;

impl<'d> Walk<'d> {
    /// The URLs of a list of servers, variables replaced by their defaults.
    pub(super) fn servers(&mut self, servers: Option<&'d Node<'d>>, at: Place<'_>) -> Vec<String> {
        let servers = match servers {
            None => return Vec::new(),
            Some(Node::Array(servers)) => servers,
            Some(other) => {
                self.remarks.wrong_type(at, "an array of servers", other);
                return Vec::new();
            }
        };
        let mut urls = Vec::with_capacity(servers.len());
        for (index, server) in servers.iter().take(MAX_SERVERS).enumerate() {
            let here = at.index(index);
            match server.get("url") {
                Some(Node::String(url)) => {
                    match expand(url, server.get("variables").and_then(Node::as_object)) {
                        Ok(url) if urls.contains(&url) => {}
                        Ok(url) => urls.push(url),
                        Err(variable) => self.remarks.warn("server-variable", here, || {
                            format!(
                                "the variable {} has no default; this server is left out",
                                shown(&variable)
                            )
                        }),
                    }
                }
                _ => self.remarks.warn("invalid-server", here, || {
                    "a server has a `url`; it is left out".to_owned()
                }),
            }
        }
        urls
    }
}

/// Replaces `{name}` by the variable's default, or its first allowed value; the name that has
/// neither is the error.
fn expand(url: &str, variables: Option<&Object<'_>>) -> Result<String, String> {
    let mut out = String::with_capacity(url.len());
    let mut rest = url;
    while let Some((before, after)) = rest.split_once('{') {
        let Some((name, tail)) = after.split_once('}') else {
            break;
        };
        out.push_str(before);
        let variable = variables.and_then(|variables| variables.get(name));
        let value = variable.and_then(|v| {
            v.get("default")
                .or_else(|| v.get("enum")?.as_array()?.first())
        });
        match value {
            Some(Node::String(text)) => out.push_str(text),
            Some(Node::Number(number)) => out.push_str(&number.to_string()),
            _ => return Err(name.to_owned()),
        }
        rest = tail;
    }
    out.push_str(rest);
    Ok(out.trim().to_owned())
}

#[cfg(test)]
mod tests {
    use super::{Node, expand};
    use serde_json::json;

    #[test]
    fn variables_become_their_defaults() {
        let variables = json!({"port": {"default": 8443}, "base": {"default": "v2"}, "region": {"enum": ["eu", "us"]}});
        let variables = Node::from(variables);
        let variables = variables.as_object();
        assert_eq!(
            expand("https://{region}.a.io:{port}/{base}", variables).unwrap(),
            "https://eu.a.io:8443/v2"
        );
        assert_eq!(expand("/api/{version}", variables).unwrap_err(), "version");
        assert_eq!(expand("https://a.io/{", None).unwrap(), "https://a.io/{");
    }
}

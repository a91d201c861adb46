//! A browser that follows nobody by itself, and keeps its cookies.

use std::collections::BTreeMap;

use reqwest::{Client, Method};

use super::super::PATIENCE;

pub fn run<T>(work: impl Future<Output = T>) -> T {
    let _ = rustls::crypto::ring::default_provider().install_default();
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap();
    runtime.block_on(work)
}

pub fn client() -> Client {
    let client = Client::builder().no_proxy().timeout(PATIENCE);
    let client = client.redirect(reqwest::redirect::Policy::none());
    client.build().unwrap()
}

/// What a browser shows.
#[derive(Debug)]
pub struct Page {
    pub status: u16,
    pub text: String,
    pub location: Option<String>,
}

/// A browser, with its cookies.
#[derive(Default)]
pub struct Browser {
    pub cookies: BTreeMap<String, String>,
}

impl Browser {
    pub fn get(&mut self, url: &str) -> Page {
        self.ask(Method::GET, url, &[], None)
    }

    pub fn post(&mut self, url: &str, headers: &[(&str, &str)], form: &[(&str, &str)]) -> Page {
        self.ask(Method::POST, url, headers, Some(form))
    }

    fn ask(
        &mut self,
        method: Method,
        url: &str,
        headers: &[(&str, &str)],
        form: Option<&[(&str, &str)]>,
    ) -> Page {
        let cookies: Vec<_> = self
            .cookies
            .iter()
            .map(|(k, v)| format!("{k}={v}"))
            .collect();
        let (page, set) = run(async {
            let mut request = client().request(method, url);
            for (name, value) in headers {
                request = request.header(*name, *value);
            }
            if !cookies.is_empty() {
                request = request.header("cookie", cookies.join("; "));
            }
            if let Some(form) = form {
                let mut body = url::form_urlencoded::Serializer::new(String::new());
                let body = body.extend_pairs(form).finish();
                let kind = "application/x-www-form-urlencoded";
                request = request.header("content-type", kind).body(body);
            }
            let answer = request.send().await.unwrap();
            let header = |name: &str| {
                let values = answer.headers().get_all(name).iter();
                let values = values.map(|value| value.to_str().unwrap().to_owned());
                values.collect::<Vec<_>>()
            };
            let (set, location) = (header("set-cookie"), header("location").pop());
            let status = answer.status().as_u16();
            let text = answer.text().await.unwrap();
            let page = Page {
                status,
                text,
                location,
            };
            (page, set)
        });
        for line in set {
            assert!(line.contains("HttpOnly; SameSite=Lax"), "{line}");
            assert_eq!(line.starts_with("__Host-"), line.ends_with("; Secure"));
            let (name, rest) = line.split_once('=').unwrap();
            let value = rest.split(';').next().unwrap();
            match value {
                "" => self.cookies.remove(name),
                value => self.cookies.insert(name.to_owned(), value.to_owned()),
            };
        }
        page
    }

    /// Opens the URL and says who one is.
    pub fn say(&mut self, url: &str, who: &[(&str, &str)]) -> Page {
        let shown = self.get(url);
        assert_eq!(shown.status, 200, "{shown:?}");
        assert!(shown.text.contains("<b>tracker</b>"), "{shown:?}");
        let form = [
            ("ticket", &*field(&shown.text, "ticket")),
            ("token", &*field(&shown.text, "token")),
        ];
        let (place, _) = url.split_once('?').unwrap();
        self.post(place, &[], &[&form, who].concat())
    }

    /// The URL with which the authorization server sends the browser back, of who has said who they are.
    pub fn sent_back(&mut self, page: &Page) -> String {
        self.get(&link(page)).location.expect("it leads back")
    }

    /// Logs in with a key.
    pub fn log_in(&mut self, url: &str, key: &str) -> Page {
        let page = self.say(url, &[("key", key)]);
        let back = self.sent_back(&page);
        self.get(&back)
    }
}

/// Where the authorization server is, of who has said who they are.
pub fn link(page: &Page) -> String {
    assert_eq!(page.status, 200, "{page:?}");
    let link = page.text.split("<a href=\"").nth(1).expect("a link");
    link.split('"').next().unwrap().replace("&amp;", "&")
}

/// The value of a hidden field.
pub fn field(page: &str, name: &str) -> String {
    let at = format!("name=\"{name}\" value=\"");
    let value = page.split(&at).nth(1).expect("a hidden field");
    value.split('"').next().unwrap().to_owned()
}

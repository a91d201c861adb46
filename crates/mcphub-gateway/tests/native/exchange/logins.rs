//! Logins of users that are exchanged.

use std::sync::Arc;

use mcphub_core::connection::Connection;
use mcphub_core::principal::Authenticator;
use mcphub_core::secret::{Credentials, Grant};
use mcphub_core::{ErrorKind, Result};
use mcphub_gateway::upstream::{Connector, Forward, Said, Upstream, UpstreamSettings};
use serde_json::json;

use super::{Credulous, Hub, Servers, Target, World, credentials, entry, exchanges};
use crate::oauth_login::pairs;
use crate::recording_api::RecordingApi;

/// A client that exchanges the logins of these users, each with its token.
fn logins(server: &RecordingApi, users: &[(&str, &str)]) -> Credentials {
    let grants = users.iter().map(|(user, token)| {
        let grant = Grant {
            client: "me".into(),
            token_url: server.url.join("/token").unwrap(),
            access_token: (*token).into(),
            refresh_token: Some(format!("login/{user}").into()),
            expires_at: None,
            scopes: None,
            resource: None,
        };
        (format!("user:{user}"), grant)
    });
    Credentials {
        grants: grants.collect(),
        ..credentials(Connection::LOGIN, "login,audience=tracker")
    }
}

/// The MCP server alone, which these users are logged in to.
fn servers(server: &RecordingApi, users: &[(&str, &str)]) -> Arc<Servers> {
    let mut shown = logins(server, users);
    let connection = Connection::http(server.url.join("/mcp").unwrap(), &mut shown).unwrap();
    let connection = connection.letting_in(Some(server.url.clone()), true);
    let tracker = Target::Connected {
        connection: connection.unwrap(),
        credentials: shown,
        listed: Arc::default(),
    };
    Arc::new(Servers(vec![entry("tracker", &json!({}), tracker)]))
}

#[tokio::test]
async fn a_users_login_is_exchanged_for_their_own_calls() {
    let (server, world) = World::open().await;
    let known = [("ada", "login/ada/0"), ("bob", "login/bob/0")];
    // Nobody has to say who calls.
    let hub = Hub::open(servers(&server, &known), true, false).await;
    let (ada, bob) = tokio::join!(hub.token("tracker", "ada"), hub.token("tracker", "bob"));
    assert!(ada.starts_with("user:ada/") && bob.starts_with("user:bob/"));
    let made = exchanges(&server);
    let mut subjects: Vec<_> = made
        .iter()
        .map(|it| pairs(&it.body)["subject_token"].clone())
        .collect();
    subjects.sort_unstable();
    assert_eq!(subjects, ["login/ada/0", "login/bob/0"]);
    let eve = hub.call("tracker", "eve").await.to_string();
    assert!(eve.contains("mcphub login tracker --user eve"), "{eve}");
    // Both her tokens are taken back: the login is renewed, and exchanged, within the call.
    let taken = [ada.clone(), "login/ada/0".to_owned()];
    world.revoked.lock().unwrap().extend(taken);
    let again = hub.token("tracker", "ada").await;
    assert!(again.starts_with("user:ada/") && again != ada);
    assert_eq!(hub.token("tracker", "bob").await, bob);
    let requests = server.requests();
    let renewals = requests
        .iter()
        .filter(|it| it.body.contains("grant_type=refresh_token"));
    assert_eq!(renewals.count(), 1);
    for request in requests.iter().filter(|it| it.target == "/mcp") {
        let shown = request.header("authorization").unwrap_or_default();
        assert!(!shown.contains("login/"), "no login goes to the server");
    }
}

/// What the server says of the token with which a call of this user arrived.
async fn forwarded(upstream: &dyn Upstream, user: &str) -> Result<String> {
    let who = Credulous.authenticate(user).await?;
    let mut forward = Forward::default();
    forward.method = "tools/call".to_owned();
    forward.name = Some("whoami".to_owned());
    forward.params = r#""name":"whoami""#.to_owned();
    forward.who = Some(Arc::new(who));
    let mut exchange = upstream.relay().unwrap().open(forward.into()).await?;
    match exchange.next().await? {
        Said::Result(result) => Ok(result.get().to_owned()),
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn a_login_that_changed_is_exchanged_anew_and_one_that_is_gone_no_more() {
    let _ = rustls::crypto::ring::default_provider().install_default();
    let (server, _) = World::open().await;
    let known = [
        ("ada", "login/ada/0"),
        ("bob", "login/bob/0"),
        ("cid", "login/cid/0"),
    ];
    let all = servers(&server, &known);
    let connector = Connector::new(UpstreamSettings::default()).unwrap();
    let upstream = connector.reach(&all.0[0]).unwrap();
    for (user, _) in known {
        forwarded(&*upstream, user).await.unwrap();
    }
    let ada = forwarded(&*upstream, "ada").await.unwrap();
    assert_eq!(exchanges(&server).len(), 3);
    let now = [("ada", "login/ada/0"), ("bob", "login/another/1")];
    assert!(upstream.take_logins(&logins(&server, &now)));
    assert_eq!(forwarded(&*upstream, "ada").await.unwrap(), ada);
    let bob = forwarded(&*upstream, "bob").await.unwrap();
    assert!(bob.contains("user:another/"), "{bob}");
    let error = forwarded(&*upstream, "cid").await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::PermissionDenied);
    assert_eq!(exchanges(&server).len(), 4);
}

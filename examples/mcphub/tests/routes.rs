//! What a running gateway lets through, and to whom it shows what.

mod common;

use common::demo::Bookshop;
use common::gateway::Gateway;
use common::sandbox::Sandbox;
use serde_json::json;

#[test]
fn status_says_which_server_is_not_called_and_for_how_long() {
    let (sandbox, shop) = (Sandbox::new(), Bookshop::open());
    sandbox.write(
        "mcphub.toml",
        "[guard]\nfailures = 2\npause = 600\nmax_pause = 600\n",
    );
    let spec = sandbox.write("bookshop.yaml", Bookshop::document());
    let url = shop.url();
    let up = ["up", &spec, "--base-url", &url, "--name", "shop"];
    let gateway = Gateway::start(&sandbox, &up);
    let status = ["status", "--listen", gateway.address()];
    let well = sandbox.run(&status);
    assert!(well.stdout.starts_with("shop\tready\t"), "{well:?}");
    assert!(well.stdout.ends_with("tools\tcalled\n"), "{well:?}");
    assert!(well.stderr.contains("ok: http://"), "{well:?}");

    drop(shop);
    for _ in 0..2 {
        let result = gateway.call("shop_listBooks", &json!({}));
        assert_eq!(result["isError"], true, "{result}");
    }
    let refused = gateway.call("shop_listBooks", &json!({}));
    assert_eq!(
        refused["_meta"]["mcphub/retryAfterSeconds"], 600,
        "{refused}"
    );
    let open = sandbox.run(&status);
    assert!(
        open.stdout.contains("tools\tnot called, tried again in "),
        "{open:?}"
    );
    assert!(open.stderr.contains("degraded: http://"), "{open:?}");
    let json = sandbox.run(&[&status[..], &["--format", "json"]].concat());
    assert!(json.stdout.contains(r#""circuit": "open""#), "{json:?}");

    let address = gateway.address().to_owned();
    gateway.stop();
    let gone = sandbox.run(&["status", "--listen", &address]);
    assert_eq!(gone.code, Some(6), "{gone:?}");
}

use serde_json::{Value, json};

use super::{DemoApi, ask};

fn order() -> Value {
    json!({
        "lines": [{"isbn": "9780000000019", "quantity": 2}, {"isbn": "9780000000040"}],
        "ship_to": {"name": "Ada Rossi", "street": "Via Po 1", "city": "Turin", "country": "IT"},
        "payment": {"method": "card", "card_token": "tok_4f2a91"},
    })
}

async fn stock(api: &DemoApi, isbn: &str) -> Value {
    let target = format!("/books/{isbn}?fields=stock");
    ask(api, "getBook", &target).send().await.body["stock"].clone()
}

#[tokio::test]
async fn a_review_is_kept_with_its_defaults_until_it_is_removed() {
    let api = DemoApi::new();
    let path = "/books/9780000000026/reviews";
    let review = json!({"rating": 4, "text": "Wet.", "reviewer": {"name": "Ada"}});
    let created = ask(&api, "createReview", path)
        .with_key()
        .json(review)
        .send()
        .await;
    assert_eq!(created.status, 201);
    assert_eq!(
        created.body,
        json!({
            "id": 5, "isbn": "9780000000026", "rating": 4, "text": "Wet.",
            "reviewer": {"name": "Ada", "city": null}, "tags": [], "spoilers": false,
        })
    );
    let listed = ask(&api, "listReviews", path).send().await.body;
    assert_eq!(listed, json!([created.body]));

    let remove = || ask(&api, "deleteReview", "/reviews/5").with_key();
    assert_eq!(remove().send().await.status, 204);
    assert_eq!(remove().send().await.status, 404);
    assert_eq!(ask(&api, "listReviews", path).send().await.body, json!([]));
}

#[tokio::test]
async fn a_change_leaves_the_other_members_and_null_removes_the_blurb() {
    let api = DemoApi::new();
    let path = "/books/9780000000019";
    let before = ask(&api, "getBook", path).send().await.body;
    let change = ask(&api, "updateBook", path).with_key();
    let changed = change
        .json(json!({"price": 1000, "blurb": null}))
        .send()
        .await;
    assert_eq!(changed.status, 200);
    let mut expected = before;
    expected["price"] = json!(1000);
    expected["blurb"] = Value::Null;
    assert_eq!(changed.body, expected);
    assert_eq!(ask(&api, "getBook", path).send().await.body, expected);
}

#[tokio::test]
async fn an_order_takes_its_books_and_gives_them_back_when_cancelled() {
    let api = DemoApi::new();
    let create = ask(&api, "createOrder", "/orders")
        .with_key()
        .header("x-request-id", "trip-1");
    let created = create.json(order()).send().await;
    assert_eq!(created.status, 201);
    assert_eq!(created.headers["location"], "/orders/1003");
    assert_eq!(created.headers["x-request-id"], "trip-1");
    assert_eq!(created.body["request_id"], "trip-1");
    assert_eq!(created.body["total"], 2 * 1450 + 990);
    assert!(!created.body.to_string().contains("tok_4f2a91"));
    assert_eq!(stock(&api, "9780000000019").await, 5);

    let tracked = ask(&api, "trackOrder", "/orders/1003").send().await.body;
    assert_eq!(
        tracked,
        json!({"id": 1003, "status": "placed", "total": 3890})
    );

    let cancelled = ask(&api, "cancelOrder", "/orders/1003")
        .with_key()
        .send()
        .await;
    assert_eq!(cancelled.status, 204);
    assert_eq!(stock(&api, "9780000000019").await, 7);
    assert_eq!(
        ask(&api, "trackOrder", "/orders/1003").send().await.status,
        404
    );
}

#[tokio::test]
async fn a_shipped_order_cannot_be_cancelled() {
    let api = DemoApi::new();
    let answer = ask(&api, "cancelOrder", "/orders/1001")
        .with_key()
        .send()
        .await;
    assert_eq!(answer.status, 409);
    assert_eq!(
        ask(&api, "trackOrder", "/orders/1001").send().await.status,
        200
    );
}

#[tokio::test]
async fn an_order_that_cannot_be_filled_takes_nothing() {
    let api = DemoApi::new();
    let mut order = order();
    order["lines"] = json!([
        {"isbn": "9780000000019"},
        {"isbn": "9780000000057", "quantity": 3},
        {"isbn": "9780000000019"},
        {"isbn": "9789999999999"},
    ]);
    let answer = ask(&api, "createOrder", "/orders")
        .with_key()
        .json(order)
        .send()
        .await;
    assert_eq!(answer.status, 422);
    assert_eq!(
        answer.violations(),
        [
            ("body", "/lines/1/quantity"),
            ("body", "/lines/2/isbn"),
            ("body", "/lines/3/isbn")
        ]
    );
    assert_eq!(stock(&api, "9780000000019").await, 7);
}

#[tokio::test]
async fn every_way_to_pay_is_read_by_its_method() {
    let api = DemoApi::new();
    for (payment, status) in [
        (json!({"method": "card", "card_token": "tok_4f2a91"}), 201),
        (
            json!({"method": "invoice", "email": "ada@example.org"}),
            201,
        ),
        (
            json!({"method": "invoice", "email": "ada@example.org", "days": 30}),
            201,
        ),
        (json!({"method": "voucher", "codes": ["SPRING26"]}), 201),
        (
            json!({"method": "invoice", "email": "ada@example.org", "days": 15}),
            422,
        ),
        (
            json!({"method": "voucher", "card_token": "tok_4f2a91"}),
            422,
        ),
        (
            json!({"method": "card", "card_token": "tok_4f2a91", "codes": ["SPRING26"]}),
            422,
        ),
        (json!({"method": "barter"}), 422),
        (json!({"card_token": "tok_4f2a91"}), 422),
    ] {
        let mut order = order();
        order["lines"] = json!([{"isbn": "9780000000064"}]);
        order["payment"] = payment.clone();
        let answer = ask(&api, "createOrder", "/orders")
            .with_key()
            .json(order)
            .send()
            .await;
        assert_eq!(answer.status, status, "{payment}: {}", answer.body);
    }
}

#[tokio::test]
async fn a_subscription_is_read_from_a_form_and_replaced_by_the_next() {
    let api = DemoApi::new();
    for (form, expected) in [
        (
            "email=ada%40example.org&topics=novel&topics=poetry",
            json!({"email": "ada@example.org", "topics": ["novel", "poetry"], "frequency": "weekly"}),
        ),
        (
            "topics=science&frequency=monthly&email=ada%40example.org",
            json!({"email": "ada@example.org", "topics": ["science"], "frequency": "monthly"}),
        ),
    ] {
        let request = ask(&api, "subscribe", "/newsletter").with_key();
        let answer = request
            .body("application/x-www-form-urlencoded", form)
            .send()
            .await;
        assert_eq!((answer.status, answer.body), (200, expected));
    }
    assert_eq!(api.shop().subscriptions.len(), 1);
}

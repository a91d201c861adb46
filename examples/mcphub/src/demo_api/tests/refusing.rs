use axum::body::Body;
use axum::http::Request;
use serde_json::json;

use super::super::MAX_BODY;
use super::super::shop::MAX_KEPT;
use super::{DemoApi, ask, operations, send};

const REVIEWS: &str = "/books/9780000000019/reviews";

#[tokio::test]
async fn exactly_the_operations_that_the_document_guards_need_the_key() {
    for operation in operations() {
        let target = operation.path.replace("{isbn}", "9780000000019");
        let target = target
            .replace("{order_id}", "1002")
            .replace("{review_id}", "1");
        let open = operation.object["security"] == json!([]);
        let ask = || ask(&DemoApi::new(), &operation.id, &target);

        let without = ask().send().await;
        assert_eq!(without.status != 401, open, "{}", operation.id);
        assert_ne!(without.status, 404, "{}", operation.id);
        assert_eq!(without.headers.contains_key("www-authenticate"), !open);
        let wrong = ask().header("x-api-key", "guess").send().await;
        assert_eq!(wrong.status != 401, open, "{}", operation.id);
        let twice = ask().with_key().with_key().send().await;
        assert_eq!(twice.status != 401, open, "{}", operation.id);
        let right = ask().with_key().send().await;
        assert_ne!(right.status, 401, "{}", operation.id);
    }
}

#[tokio::test]
async fn every_fault_of_a_query_is_named() {
    let api = DemoApi::new();
    let target = "/books?limit=21&sort=best&in_stock=yes&q=a&q=b&genre=novel&genre=opera&limt=3\
        &cursor=9789999999999&price[min]=-1";
    let answer = ask(&api, "listBooks", target).send().await;
    assert_eq!(answer.status, 422);
    let mut names: Vec<_> = answer
        .violations()
        .into_iter()
        .map(|(_, name)| name)
        .collect();
    names.sort_unstable();
    let expected = [
        "cursor",
        "genre",
        "in_stock",
        "limit",
        "limt",
        "price[min]",
        "q",
        "sort",
    ];
    assert_eq!(names, expected);
}

#[tokio::test]
async fn one_bad_value_is_refused_where_it_stands() {
    let api = DemoApi::new();
    for (operation, target, place, name) in [
        ("getBook", "/books/978-0", "path", "isbn"),
        (
            "getBook",
            "/books/9780000000019?fields=title,weight",
            "query",
            "fields",
        ),
        (
            "listReviews",
            "/books/9780000000019/reviews?min_rating=0",
            "query",
            "min_rating",
        ),
        ("trackOrder", "/orders/0", "path", "order_id"),
        (
            "trackOrder",
            "/orders/9223372036854775808",
            "path",
            "order_id",
        ),
        ("comparePrices", "/prices", "query", "isbn"),
        ("comparePrices", "/prices?isbn=", "query", "isbn"),
        ("getCategories", "/categories?depth=%2B1", "query", "depth"),
    ] {
        let answer = ask(&api, operation, target).send().await;
        assert_eq!(
            (answer.status, answer.violations()),
            (422, vec![(place, name)]),
            "{target}"
        );
    }
    let target = "/prices?isbn=9780000000019";
    let yen = ask(&api, "comparePrices", target)
        .header("cookie", "currency=JPY")
        .send()
        .await;
    assert_eq!(
        (yen.status, yen.violations()),
        (422, vec![("cookie", "currency")])
    );
    let id = ask(&api, "trackOrder", "/orders/1001")
        .header("x-request-id", "a b")
        .send()
        .await;
    assert_eq!(
        (id.status, id.violations()),
        (422, vec![("header", "X-Request-Id")])
    );
}

#[tokio::test]
async fn every_fault_of_a_body_has_its_pointer() {
    let body = json!({
        "rating": 6, "text": "", "reviewer": {"city": 7, "a/b": 1},
        "tags": ["ok", 3, "much too long for a tag"], "stars": 5, "spoilers": null,
    });
    let request = ask(&DemoApi::new(), "createReview", REVIEWS)
        .with_key()
        .json(body);
    let answer = request.send().await;
    assert_eq!(answer.status, 422);
    let pointers: Vec<_> = answer
        .violations()
        .into_iter()
        .map(|(_, name)| name)
        .collect();
    let expected = [
        "/rating",
        "/text",
        "/reviewer/name",
        "/reviewer/city",
        "/reviewer/a~1b",
        "/tags/1",
        "/tags/2",
        "/spoilers",
        "/stars",
    ];
    assert_eq!(pointers, expected);
}

#[tokio::test]
async fn a_form_says_which_fields_are_missing_or_unknown() {
    let request = ask(&DemoApi::new(), "subscribe", "/newsletter").with_key();
    let answer = request
        .body("application/x-www-form-urlencoded", "mail=x")
        .send()
        .await;
    let expected = [("body", "email"), ("body", "topics"), ("body", "mail")];
    assert_eq!(
        (answer.status, answer.violations()),
        (422, expected.to_vec())
    );
}

#[tokio::test]
async fn a_change_of_nothing_is_refused() {
    let request = ask(&DemoApi::new(), "updateBook", "/books/9780000000019").with_key();
    let answer = request.json(json!({})).send().await;
    assert_eq!(
        (answer.status, answer.violations()),
        (422, vec![("body", "")])
    );
}

#[tokio::test]
async fn an_unknown_book_is_named() {
    let api = DemoApi::new();
    let review = json!({"rating": 4, "text": "Wet.", "reviewer": {"name": "Ada"}});
    for answer in [
        ask(&api, "getBook", "/books/9789999999999").send().await,
        ask(&api, "listReviews", "/books/9789999999999/reviews")
            .send()
            .await,
        ask(
            &api,
            "comparePrices",
            "/prices?isbn=9780000000019%7C9789999999999",
        )
        .send()
        .await,
        ask(&api, "createReview", "/books/9789999999999/reviews")
            .with_key()
            .json(review)
            .send()
            .await,
    ] {
        assert_eq!(answer.status, 404);
        assert!(
            answer.body["detail"]
                .as_str()
                .is_some_and(|text| text.contains("9789999999999"))
        );
    }
}

#[tokio::test]
async fn a_body_that_cannot_be_read_is_refused() {
    let create = || ask(&DemoApi::new(), "createReview", REVIEWS).with_key();
    assert_eq!(
        create()
            .body("application/json", "{\"rating\": ")
            .send()
            .await
            .status,
        400
    );
    assert_eq!(
        create()
            .body("application/json", &b"\"\xff\""[..])
            .send()
            .await
            .status,
        400
    );
    assert_eq!(
        create()
            .body("application/json", "[".repeat(10_000))
            .send()
            .await
            .status,
        400
    );
    assert_eq!(create().body("text/plain", "{}").send().await.status, 415);
    assert_eq!(create().send().await.status, 415);
    let just_fits = format!("{{}}{}", " ".repeat(MAX_BODY - 2));
    assert_eq!(
        create()
            .body("application/json", just_fits)
            .send()
            .await
            .status,
        422
    );
    let too_large = format!("{{}}{}", " ".repeat(MAX_BODY - 1));
    assert_eq!(
        create()
            .body("application/json", too_large)
            .send()
            .await
            .status,
        413
    );
}

#[tokio::test]
async fn an_answer_to_thousands_of_faults_stays_short() {
    let members: serde_json::Map<_, _> = (0..2_000)
        .map(|number| (format!("{number}{}", "x".repeat(20)), json!(1)))
        .collect();
    let request = ask(&DemoApi::new(), "createReview", REVIEWS).with_key();
    let answer = request.json(members.into()).send().await;
    assert_eq!(answer.status, 422);
    assert_eq!(answer.violations().len(), 20);
    assert!(
        answer.body["detail"]
            .as_str()
            .is_some_and(|text| text.starts_with("2003 values"))
    );
}

#[tokio::test]
async fn a_full_shop_keeps_what_it_has() {
    let api = DemoApi::new();
    let review = json!({"rating": 4, "text": "Wet.", "reviewer": {"name": "Ada"}});
    let create = || {
        ask(&api, "createReview", REVIEWS)
            .with_key()
            .json(review.clone())
    };
    let seeded = api.shop().reviews[&1].clone();
    for id in 5..=MAX_KEPT as u64 {
        api.shop().reviews.insert(id, seeded.clone());
    }
    assert_eq!(create().send().await.status, 503);
    let removed = ask(&api, "deleteReview", "/reviews/1")
        .with_key()
        .send()
        .await;
    assert_eq!(removed.status, 204);
    assert_eq!(create().send().await.status, 201);
}

#[tokio::test]
async fn what_the_document_does_not_have_is_a_problem_too() {
    let api = DemoApi::new();
    for (method, target, status) in [
        ("GET", "/nowhere", 404),
        ("PUT", "/books", 405),
        ("GET", "/books?q=%ff", 400),
    ] {
        let request = Request::builder()
            .method(method)
            .uri(target)
            .body(Body::empty());
        let answer = send(&api, request.expect("a request")).await;
        assert_eq!(answer.status, status, "{target}");
        assert_eq!(answer.headers["content-type"], "application/problem+json");
    }
}

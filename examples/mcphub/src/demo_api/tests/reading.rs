use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

use super::super::seed;
use super::{DemoApi, ask};

fn isbns(page: &Value) -> Vec<&str> {
    let items = page["items"].as_array().expect("items");
    items
        .iter()
        .map(|book| book["isbn"].as_str().expect("an ISBN"))
        .collect()
}

#[tokio::test]
async fn pages_together_hold_every_book_once_and_in_order() {
    let api = DemoApi::new();
    let whole = ask(&api, "listBooks", "/books?limit=20").send().await.body;
    let mut seen = Vec::new();
    let mut target = "/books".to_owned();
    for _ in 0..10 {
        let page = ask(&api, "listBooks", &target).send().await.body;
        seen.extend(isbns(&page).into_iter().map(str::to_owned));
        match page["next_cursor"].as_str() {
            Some(cursor) => target = format!("/books?cursor={cursor}"),
            None => break,
        }
    }
    assert_eq!(seen.len(), 12);
    assert_eq!(seen, isbns(&whole));
}

#[tokio::test]
async fn a_page_that_ends_the_list_exactly_has_no_next_one() {
    let page = ask(&DemoApi::new(), "listBooks", "/books?genre=novel&limit=3")
        .send()
        .await
        .body;
    assert_eq!(
        (isbns(&page).len(), &page["next_cursor"]),
        (3, &Value::Null)
    );
}

#[tokio::test]
async fn every_filter_narrows_the_list() {
    let api = DemoApi::new();
    for (query, titles) in [
        (
            "q=SEA",
            &["Counting Sea Shells", "The Sea Has No Corners"][..],
        ),
        ("q=moretti+lighthouse", &["Letters to a Lighthouse"]),
        (
            "genre=poetry&genre=cooking",
            &["Nine Lemons", "Salt, Thread, Bread", "Small Hours"],
        ),
        (
            "price[min]=2750&price%5Bmax%5D=2800",
            &["North of Every Map", "Salt, Thread, Bread"],
        ),
        (
            "genre=novel&in_stock=true",
            &["The Quiet Machine", "The Sea Has No Corners"],
        ),
        ("limit=1&sort=cheapest", &["Small Hours"]),
        ("limit=1&sort=newest", &["Nine Lemons"]),
        ("q=nothing+like+it", &[]),
    ] {
        let page = ask(&api, "listBooks", &format!("/books?{query}"))
            .send()
            .await
            .body;
        let items = page["items"].as_array().expect("items");
        let found: Vec<_> = items
            .iter()
            .map(|book| book["title"].as_str().expect("text"))
            .collect();
        assert_eq!(found, titles, "{query}");
    }
}

#[tokio::test]
async fn a_book_shows_all_or_the_chosen_fields() {
    let api = DemoApi::new();
    let all = ask(&api, "getBook", "/books/9780000000040")
        .send()
        .await
        .body;
    assert_eq!(all.as_object().map(|book| book.len()), Some(9));
    let target = "/books/9780000000040?fields=title,blurb";
    let chosen = ask(&api, "getBook", target).send().await.body;
    let expected = json!({"isbn": "9780000000040", "title": "Small Hours", "blurb": null});
    assert_eq!(chosen, expected);
}

#[tokio::test]
async fn prices_come_in_the_order_and_currency_of_the_question() {
    let target = "/prices?isbn=9780000000026%7C9780000000019";
    let api = DemoApi::new();
    let euros = ask(&api, "comparePrices", target).send().await.body;
    assert_eq!(
        euros[0],
        json!({"isbn": "9780000000026", "amount": 2290, "currency": "EUR"})
    );
    let request = ask(&api, "comparePrices", target).header("cookie", "theme=dark; currency=USD");
    let dollars = request.send().await.body;
    assert_eq!(
        dollars[1],
        json!({"isbn": "9780000000019", "amount": 1595, "currency": "USD"})
    );
}

#[tokio::test]
async fn the_tree_of_categories_is_cut_at_a_depth() {
    let api = DemoApi::new();
    let tree = ask(&api, "getCategories", "/categories").send().await.body;
    assert_eq!(tree["books"], 12);
    let science = &tree["children"][1]["children"][0]["children"][0];
    assert_eq!(
        *science,
        json!({"name": "Science", "books": 2, "children": []})
    );
    let root = ask(&api, "getCategories", "/categories?depth=0")
        .send()
        .await
        .body;
    assert_eq!(
        root,
        json!({"name": "All books", "books": 12, "children": []})
    );
}

#[tokio::test]
async fn reviews_come_newest_first_and_from_a_rating_on() {
    let api = DemoApi::new();
    let path = "/books/9780000000019/reviews";
    let all = ask(&api, "listReviews", path).send().await.body;
    assert_eq!((&all[0]["id"], &all[1]["id"]), (&json!(2), &json!(1)));
    let good = ask(&api, "listReviews", &format!("{path}?min_rating=4"))
        .send()
        .await
        .body;
    assert_eq!(good.as_array().map(Vec::len), Some(1));
    let none = ask(&api, "listReviews", "/books/9780000000026/reviews")
        .send()
        .await
        .body;
    assert_eq!(none, json!([]));
}

#[test]
fn seeded_orders_cost_what_their_books_cost() {
    let shop = seed::shop();
    for order in shop.orders.values() {
        let price = |line: &super::super::shop::OrderLine| {
            shop.books[&line.isbn].summary.price * line.quantity
        };
        let total: u64 = order.lines.iter().map(price).sum();
        assert_eq!(order.summary.total, total, "order {}", order.summary.id);
    }
}

#[tokio::test]
async fn it_serves_a_listener() {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let address = listener.local_addr().expect("an address");
    let server = tokio::spawn(DemoApi::new().serve(listener));

    let mut stream = TcpStream::connect(address).await.expect("a connection");
    let request = "GET /orders/1001 HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n";
    stream.write_all(request.as_bytes()).await.expect("written");
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await.expect("an answer");
    server.abort();

    assert!(answer.starts_with("HTTP/1.1 200 OK\r\n"), "{answer}");
    assert!(
        answer.ends_with(r#"{"id":1001,"status":"shipped","total":2900}"#),
        "{answer}"
    );
}

//! The operations tagged `books`.

use axum::Json;
use axum::extract::State;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::json::read as read_json;
use super::problem::Problem;
use super::request::{JsonBody, Parameters, PathValue};
use super::shop::{BookSummary, Genre, Isbn, Shop};
use super::{DemoApi, rule};

const MAX_CENTS: u64 = 1_000_000;

/// What `getBook` can be asked to answer with, besides the ISBN.
const FIELDS: [&str; 8] = [
    "title",
    "author",
    "genre",
    "price",
    "stock",
    "published_on",
    "pages",
    "blurb",
];

#[derive(Debug, Serialize)]
pub struct BookPage {
    items: Vec<BookSummary>,
    total: usize,
    next_cursor: Option<Isbn>,
}

#[derive(Debug, Clone, Copy, Deserialize)]
#[serde(rename_all = "lowercase")]
enum Sort {
    Title,
    Cheapest,
    Newest,
}

/// `listBooks`. The cursor is the ISBN of the last book of the page before.
pub async fn list(
    State(api): State<DemoApi>,
    mut query: Parameters,
) -> Result<Json<BookPage>, Problem> {
    let words = query
        .optional("q", rule::length(1..=80))
        .unwrap_or_default()
        .to_lowercase();
    let genres: Vec<Genre> = query.repeated("genre", 6, rule::choice);
    let least = query
        .optional("price[min]", rule::integer(0..=MAX_CENTS))
        .unwrap_or(0);
    let most = query
        .optional("price[max]", rule::integer(0..=MAX_CENTS))
        .unwrap_or(MAX_CENTS);
    let in_stock = query.optional("in_stock", rule::boolean).unwrap_or(false);
    let sort = query.optional("sort", rule::choice).unwrap_or(Sort::Title);
    let limit = query.optional("limit", rule::integer(1..=20)).unwrap_or(5);
    let cursor = query.optional("cursor", rule::isbn);

    let shop = api.shop();
    let mut books: Vec<_> = shop.books.values().collect();
    // Sorting is stable and the books come in the order of their ISBNs, which so decides ties.
    match sort {
        Sort::Title => books.sort_by_key(|book| book.summary.title),
        Sort::Cheapest => books.sort_by_key(|book| book.summary.price),
        Sort::Newest => books.sort_by_key(|book| std::cmp::Reverse(book.published_on)),
    }
    let matching: Vec<&BookSummary> = books
        .into_iter()
        .map(|book| &book.summary)
        .filter(|book| genres.is_empty() || genres.contains(&book.genre))
        .filter(|book| (least..=most).contains(&book.price))
        .filter(|book| !in_stock || book.stock > 0)
        .filter(|book| {
            let text = format!("{} {}", book.title, book.author).to_lowercase();
            words.split_whitespace().all(|word| text.contains(word))
        })
        .collect();

    let mut start = 0;
    if let Some(cursor) = cursor {
        match matching.iter().position(|book| book.isbn == cursor) {
            Some(last) => start = last + 1,
            None => query.refuse("cursor", "does not belong to a list with these filters"),
        }
    }
    query.finish()?;

    let rest = &matching[start..];
    let page = &rest[..rest.len().min(limit as usize)];
    let more = rest.len() > page.len();
    Ok(Json(BookPage {
        items: page.iter().map(|&book| book.clone()).collect(),
        total: matching.len(),
        next_cursor: page.last().filter(|_| more).map(|book| book.isbn.clone()),
    }))
}

/// `getBook`
pub async fn look_up(
    State(api): State<DemoApi>,
    path: PathValue,
    mut query: Parameters,
) -> Result<Json<Value>, Problem> {
    let isbn = path.read(rule::isbn)?;
    let fields = query.joined("fields", ',', FIELDS.len(), rule::one_of(&FIELDS));
    query.finish()?;

    let shop = api.shop();
    let book = shop.books.get(&isbn).ok_or_else(|| no_book(&isbn))?;
    let mut selected = json!(book);
    if let (Some(book), Some(fields)) = (selected.as_object_mut(), fields) {
        book.retain(|name, _| name == "isbn" || fields.contains(&name.as_str()));
    }
    Ok(Json(selected))
}

/// `updateBook`
pub async fn update(
    State(api): State<DemoApi>,
    path: PathValue,
    query: Parameters,
    JsonBody(body): JsonBody,
) -> Result<Json<Value>, Problem> {
    let isbn = path.read(rule::isbn)?;
    query.finish()?;
    let (price, stock, blurb) = read_json(&body, |body| {
        body.object(|book| {
            if book.is_empty() {
                return book.refuse("must change something");
            }
            let price = book.optional("price", None, |price| {
                price.integer(0..=MAX_CENTS).map(Some)
            });
            let stock = book.optional("stock", None, |stock| stock.integer(0..=10_000).map(Some));
            let blurb = book.optional("blurb", None, |blurb| {
                blurb
                    .nullable(|blurb| blurb.text(rule::length(1..=500)))
                    .map(Some)
            });
            Some((price?, stock?, blurb?))
        })
    })?;

    let mut shop = api.shop();
    let book = shop.books.get_mut(&isbn).ok_or_else(|| no_book(&isbn))?;
    book.summary.price = price.unwrap_or(book.summary.price);
    book.summary.stock = stock.unwrap_or(book.summary.stock);
    if let Some(blurb) = blurb {
        book.blurb = blurb;
    }
    Ok(Json(json!(book)))
}

/// A 404 that names the book.
pub fn no_book(isbn: &Isbn) -> Problem {
    Problem::not_found(format!(
        "the shop has no book with the ISBN {}",
        isbn.as_str()
    ))
}

/// Checks that the shop has the book.
pub fn require_book(shop: &Shop, isbn: &Isbn) -> Result<(), Problem> {
    if shop.books.contains_key(isbn) {
        Ok(())
    } else {
        Err(no_book(isbn))
    }
}

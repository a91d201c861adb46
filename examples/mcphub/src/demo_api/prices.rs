//! The operation `comparePrices`.

use axum::Json;
use axum::extract::State;
use axum::http::HeaderMap;
use serde::{Deserialize, Serialize};

use super::books::no_book;
use super::problem::Problem;
use super::request::Parameters;
use super::shop::Isbn;
use super::{DemoApi, rule};

#[derive(Debug, Serialize)]
pub struct Quote {
    isbn: Isbn,
    amount: u64,
    currency: Currency,
}

#[derive(Debug, Clone, Copy, Serialize, Deserialize)]
#[serde(rename_all = "UPPERCASE")]
enum Currency {
    Eur,
    Usd,
    Gbp,
}

/// `comparePrices`
pub async fn compare(
    State(api): State<DemoApi>,
    mut query: Parameters,
    headers: HeaderMap,
) -> Result<Json<Vec<Quote>>, Problem> {
    query.require("isbn");
    let isbns = query.joined("isbn", '|', 10, rule::isbn);
    query.finish()?;
    let mut cookies = Parameters::cookies(&headers, &["currency"]);
    let currency = cookies
        .optional("currency", rule::choice)
        .unwrap_or(Currency::Eur);
    cookies.finish()?;

    let shop = api.shop();
    let quotes = isbns.unwrap_or_default().into_iter().map(|isbn| {
        let book = shop.books.get(&isbn).ok_or_else(|| no_book(&isbn))?;
        let amount = currency.convert(book.summary.price);
        Ok(Quote {
            isbn,
            amount,
            currency,
        })
    });
    quotes.collect::<Result<_, _>>().map(Json)
}

impl Currency {
    /// Euro cents at the shop's fixed rate, rounded down.
    fn convert(self, cents: u64) -> u64 {
        match self {
            Self::Eur => cents,
            Self::Usd => cents * 110 / 100,
            Self::Gbp => cents * 85 / 100,
        }
    }
}

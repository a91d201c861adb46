//! What the shop holds: books, reviews, orders and subscriptions, in memory.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

/// How many reviews, orders and subscriptions the shop keeps at most, each.
pub const MAX_KEPT: usize = 1_000;

/// The books keep the order of their ISBNs, the rest the order in which it came.
#[derive(Debug, PartialEq, Eq)]
pub struct Shop {
    pub books: BTreeMap<Isbn, Book>,
    pub reviews: BTreeMap<u64, Review>,
    pub orders: BTreeMap<u64, Order>,
    pub subscriptions: BTreeMap<String, Subscription>,
    /// Numbers are never used twice, also after a removal.
    pub next_review: u64,
    pub next_order: u64,
}

/// An ISBN-13: thirteen digits.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(transparent)]
pub struct Isbn(String);

#[derive(Debug, PartialEq, Eq, Serialize)]
pub struct Book {
    #[serde(flatten)]
    pub summary: BookSummary,
    pub published_on: &'static str,
    pub pages: u32,
    pub blurb: Option<String>,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct BookSummary {
    pub isbn: Isbn,
    pub title: &'static str,
    pub author: &'static str,
    pub genre: Genre,
    /// In euro cents.
    pub price: u64,
    pub stock: u64,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Genre {
    Novel,
    Poetry,
    Science,
    History,
    Cooking,
    Children,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Review {
    pub id: u64,
    pub isbn: Isbn,
    pub rating: u64,
    pub text: String,
    pub reviewer: Reviewer,
    pub tags: Vec<String>,
    pub spoilers: bool,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Reviewer {
    pub name: String,
    pub city: Option<String>,
}

/// An order keeps how it is paid, and none of the tokens and codes that pay it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Order {
    #[serde(flatten)]
    pub summary: OrderSummary,
    pub lines: Vec<OrderLine>,
    pub ship_to: Address,
    pub payment_method: PaymentMethod,
    pub gift_note: Option<String>,
    pub request_id: Option<String>,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct OrderSummary {
    pub id: u64,
    pub status: OrderStatus,
    /// In euro cents.
    pub total: u64,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum OrderStatus {
    Placed,
    Shipped,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct OrderLine {
    pub isbn: Isbn,
    pub quantity: u64,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Address {
    pub name: String,
    pub street: String,
    pub city: String,
    pub postcode: Option<String>,
    pub country: String,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum PaymentMethod {
    Card,
    Invoice,
    Voucher,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Subscription {
    pub email: String,
    pub topics: Vec<Genre>,
    pub frequency: Frequency,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Frequency {
    Weekly,
    Monthly,
}

impl Isbn {
    pub fn parse(text: &str) -> Option<Self> {
        let accepted = text.len() == 13 && text.bytes().all(|byte| byte.is_ascii_digit());
        accepted.then(|| Self(text.to_owned()))
    }

    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The ISBN of this publisher's title number `title`, with its check digit (ISO 2108).
    pub fn of_title(title: u8) -> Self {
        let body = format!("978000000{title:03}");
        let weighted = body.bytes().zip([1, 3].into_iter().cycle());
        let sum: u32 = weighted
            .map(|(byte, weight)| u32::from(byte - b'0') * weight)
            .sum();
        Self(format!("{body}{}", (10 - sum % 10) % 10))
    }
}

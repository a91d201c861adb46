//! The shop on opening day. Titles and authors are invented; the same seed at every start.

use std::collections::BTreeMap;

use super::shop::{
    Address, Book, BookSummary, Genre, Isbn, Order, OrderLine, OrderStatus, OrderSummary,
    PaymentMethod, Review, Reviewer, Shop,
};

type Row = (
    &'static str,
    &'static str,
    Genre,
    u64,
    u64,
    &'static str,
    u32,
    Option<&'static str>,
);

/// Title, author, genre, euro cents, stock, published on, pages, blurb.
#[rustfmt::skip] // a table
const BOOKS: [Row; 12] = [
    ("The Sea Has No Corners", "Livia Moretti", Genre::Novel, 1450, 7, "2019-03-12", 288,
        Some("Three sisters inherit a ferry that nobody has seen.")),
    ("A Field Guide to Rain", "Tomas Lindqvist", Genre::Science, 2290, 4, "2021-09-30", 352,
        Some("Forty-one kinds of rain, and how to stand in each.")),
    ("Salt, Thread, Bread", "Nour Haddad", Genre::Cooking, 2800, 3, "2018-11-05", 240, None),
    ("Small Hours", "Ines Carvalho", Genre::Poetry, 990, 12, "2022-02-14", 96, None),
    ("The Clockmaker's Atlas", "Henry Osei", Genre::History, 3150, 2, "2015-06-01", 512,
        Some("How time came to the villages, one tower at a time.")),
    ("Otter Learns to Whistle", "Mia Jansen", Genre::Children, 1290, 20, "2023-04-18", 32,
        Some("For ages three and up, and for otters.")),
    ("Letters to a Lighthouse", "Livia Moretti", Genre::Novel, 1650, 0, "2023-10-03", 320,
        Some("She writes every day. One day it answers.")),
    ("What Moss Remembers", "Aiko Tanabe", Genre::Science, 1990, 5, "2020-05-22", 208, None),
    ("North of Every Map", "Henry Osei", Genre::History, 2750, 6, "2021-01-15", 416, None),
    ("Nine Lemons", "Nour Haddad", Genre::Cooking, 1850, 9, "2024-07-09", 160,
        Some("Nine lemons, ninety dishes.")),
    ("The Quiet Machine", "Tomas Lindqvist", Genre::Novel, 1550, 8, "2017-08-24", 304, None),
    ("Counting Sea Shells", "Mia Jansen", Genre::Children, 1090, 15, "2016-05-02", 40, None),
];

pub fn shop() -> Shop {
    let books = (1..).zip(BOOKS).map(book);
    let reviews = [
        review(
            1,
            1,
            5,
            "I read it on a ferry and missed my stop.",
            "Ada",
            Some("Turin"),
            &["funny"],
        ),
        review(2, 1, 3, "Too much ferry.", "Boris", None, &[]),
        review(
            3,
            4,
            4,
            "Best read at four in the morning.",
            "Chidi",
            Some("Lagos"),
            &["short", "night"],
        ),
        review(4, 6, 5, "We whistle now.", "Dana", Some("Haifa"), &["loud"]),
    ];
    let orders = [
        order(1001, OrderStatus::Shipped, 2900, &[(1, 2)]),
        order(1002, OrderStatus::Placed, 3270, &[(4, 2), (6, 1)]),
    ];
    Shop {
        books: books
            .map(|book| (book.summary.isbn.clone(), book))
            .collect(),
        reviews: reviews.map(|review| (review.id, review)).into(),
        orders: orders.map(|order| (order.summary.id, order)).into(),
        subscriptions: BTreeMap::new(),
        next_review: 5,
        next_order: 1003,
    }
}

fn book((number, row): (u8, Row)) -> Book {
    let (title, author, genre, price, stock, published_on, pages, blurb) = row;
    Book {
        summary: BookSummary {
            isbn: Isbn::of_title(number),
            title,
            author,
            genre,
            price,
            stock,
        },
        published_on,
        pages,
        blurb: blurb.map(str::to_owned),
    }
}

fn review(
    id: u64,
    title: u8,
    rating: u64,
    text: &str,
    name: &str,
    city: Option<&str>,
    tags: &[&str],
) -> Review {
    Review {
        id,
        isbn: Isbn::of_title(title),
        rating,
        text: text.to_owned(),
        reviewer: Reviewer {
            name: name.to_owned(),
            city: city.map(str::to_owned),
        },
        tags: tags.iter().map(|&tag| tag.to_owned()).collect(),
        spoilers: false,
    }
}

fn order(id: u64, status: OrderStatus, total: u64, lines: &[(u8, u64)]) -> Order {
    let line = |&(title, quantity): &(u8, u64)| OrderLine {
        isbn: Isbn::of_title(title),
        quantity,
    };
    Order {
        summary: OrderSummary { id, status, total },
        lines: lines.iter().map(line).collect(),
        ship_to: Address {
            name: "Ada Rossi".to_owned(),
            street: "Via Po 1".to_owned(),
            city: "Turin".to_owned(),
            postcode: Some("10124".to_owned()),
            country: "IT".to_owned(),
        },
        payment_method: PaymentMethod::Card,
        gift_note: None,
        request_id: None,
    }
}

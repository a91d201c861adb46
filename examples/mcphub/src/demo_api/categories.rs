//! The operation `getCategories`: the shelves as a tree.

use axum::Json;
use axum::extract::State;
use serde::Serialize;

use super::problem::Problem;
use super::request::Parameters;
use super::shop::Genre;
use super::{DemoApi, rule};

#[derive(Debug, Serialize)]
pub struct Category {
    name: &'static str,
    books: usize,
    children: Vec<Category>,
}

/// `getCategories`
pub async fn tree(
    State(api): State<DemoApi>,
    mut query: Parameters,
) -> Result<Json<Category>, Problem> {
    let depth = query.optional("depth", rule::integer(0..=5)).unwrap_or(5);
    query.finish()?;
    let shop = api.shop();
    let shelf = |name, genre| Category {
        name,
        books: shop
            .books
            .values()
            .filter(|book| book.summary.genre == genre)
            .count(),
        children: Vec::new(),
    };
    let mut root = Category::around(
        "All books",
        vec![
            Category::around(
                "Fiction",
                vec![
                    shelf("Novels", Genre::Novel),
                    shelf("Poetry", Genre::Poetry),
                ],
            ),
            Category::around(
                "Non-fiction",
                vec![
                    Category::around(
                        "Knowledge",
                        vec![
                            shelf("Science", Genre::Science),
                            shelf("History", Genre::History),
                        ],
                    ),
                    shelf("Cooking", Genre::Cooking),
                ],
            ),
            shelf("Children's books", Genre::Children),
        ],
    );
    root.cut(depth);
    Ok(Json(root))
}

impl Category {
    fn around(name: &'static str, children: Vec<Self>) -> Self {
        let books = children.iter().map(|child| child.books).sum();
        Self {
            name,
            books,
            children,
        }
    }

    fn cut(&mut self, depth: u64) {
        match depth.checked_sub(1) {
            Some(below) => self.children.iter_mut().for_each(|child| child.cut(below)),
            None => self.children.clear(),
        }
    }
}

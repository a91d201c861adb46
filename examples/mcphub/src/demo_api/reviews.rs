//! The operations tagged `reviews`.

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;

use super::books::require_book;
use super::json::Members;
use super::problem::Problem;
use super::request::{JsonBody, Parameters, PathValue};
use super::shop::{MAX_KEPT, Review, Reviewer};
use super::{DemoApi, json, rule};

/// `listReviews`
pub async fn list(
    State(api): State<DemoApi>,
    path: PathValue,
    mut query: Parameters,
) -> Result<Json<Vec<Review>>, Problem> {
    let isbn = path.read(rule::isbn)?;
    let least = query
        .optional("min_rating", rule::integer(1..=5))
        .unwrap_or(1);
    query.finish()?;

    let shop = api.shop();
    require_book(&shop, &isbn)?;
    let newest_first = shop.reviews.values().rev();
    let matching = newest_first.filter(|review| review.isbn == isbn && review.rating >= least);
    Ok(Json(matching.cloned().collect()))
}

/// `createReview`
pub async fn create(
    State(api): State<DemoApi>,
    path: PathValue,
    query: Parameters,
    JsonBody(body): JsonBody,
) -> Result<(StatusCode, Json<Review>), Problem> {
    let isbn = path.read(rule::isbn)?;
    query.finish()?;
    let mut review = json::read(&body, |body| {
        body.object(|review| {
            let rating = review.required("rating", |rating| rating.integer(1..=5));
            let text = review.required("text", |text| text.text(rule::length(1..=2000)));
            let reviewer = review.required("reviewer", |reviewer| reviewer.object(read_reviewer));
            let tags = review.optional("tags", Vec::new(), |tags| {
                tags.list(0..=5, |tag| tag.text(rule::length(1..=20)))
            });
            let spoilers = review.optional("spoilers", false, |spoilers| spoilers.boolean());
            Some(Review {
                id: 0,
                isbn: isbn.clone(),
                rating: rating?,
                text: text?,
                reviewer: reviewer?,
                tags: tags?,
                spoilers: spoilers?,
            })
        })
    })?;

    let mut shop = api.shop();
    require_book(&shop, &isbn)?;
    if shop.reviews.len() >= MAX_KEPT {
        return Err(Problem::full("reviews"));
    }
    review.id = shop.next_review;
    shop.next_review += 1;
    shop.reviews.insert(review.id, review.clone());
    Ok((StatusCode::CREATED, Json(review)))
}

/// `deleteReview`
pub async fn remove(
    State(api): State<DemoApi>,
    path: PathValue,
    query: Parameters,
) -> Result<StatusCode, Problem> {
    let id = path.read(rule::integer(1..=rule::MAX_ID))?;
    query.finish()?;
    match api.shop().reviews.remove(&id) {
        Some(_) => Ok(StatusCode::NO_CONTENT),
        None => Err(Problem::not_found(format!("there is no review {id}"))),
    }
}

fn read_reviewer(reviewer: &mut Members<'_>) -> Option<Reviewer> {
    let name = reviewer.required("name", |name| name.text(rule::length(1..=60)));
    let city = reviewer.optional("city", None, |city| {
        city.nullable(|city| city.text(rule::length(1..=60)))
    });
    Some(Reviewer {
        name: name?,
        city: city?,
    })
}

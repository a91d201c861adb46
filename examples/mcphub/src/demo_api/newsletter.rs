//! The operation tagged `newsletter`.

use axum::Json;
use axum::extract::State;

use super::problem::Problem;
use super::request::{Form, Parameters};
use super::shop::{Frequency, Genre, MAX_KEPT, Subscription};
use super::{DemoApi, rule};

/// `subscribe`
pub async fn subscribe(
    State(api): State<DemoApi>,
    query: Parameters,
    Form(mut form): Form,
) -> Result<Json<Subscription>, Problem> {
    query.finish()?;
    let email = form.required("email", rule::email);
    form.require("topics");
    let topics: Vec<Genre> = form.repeated("topics", 6, rule::choice);
    let frequency = form
        .optional("frequency", rule::choice)
        .unwrap_or(Frequency::Weekly);
    form.finish()?;

    // `finish` has refused a form without an address, which the types cannot know.
    let email = email.ok_or_else(|| Problem::unreadable("the form has no email"))?;
    let subscription = Subscription {
        email,
        topics,
        frequency,
    };
    let subscriptions = &mut api.shop().subscriptions;
    if subscriptions.len() >= MAX_KEPT && !subscriptions.contains_key(&subscription.email) {
        return Err(Problem::full("subscriptions"));
    }
    subscriptions.insert(subscription.email.clone(), subscription.clone());
    Ok(Json(subscription))
}

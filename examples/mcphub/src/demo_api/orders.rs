//! The operations tagged `orders`.

use axum::extract::State;
use axum::http::header::LOCATION;
use axum::http::{HeaderName, StatusCode};
use axum::{Extension, Json};

use super::access::RequestId;
use super::json::{self, Json as Value, Members};
use super::problem::{Place, Problem, Violation};
use super::request::{JsonBody, Parameters, PathValue};
use super::shop::{
    Address, MAX_KEPT, Order, OrderLine, OrderStatus, OrderSummary, PaymentMethod, Shop,
};
use super::{DemoApi, rule};

/// `createOrder`
pub async fn create(
    State(api): State<DemoApi>,
    Extension(RequestId(request_id)): Extension<RequestId>,
    query: Parameters,
    JsonBody(body): JsonBody,
) -> Result<(StatusCode, [(HeaderName, String); 1], Json<Order>), Problem> {
    query.finish()?;
    let mut order = json::read(&body, |body| body.object(read_order))?;
    order.request_id = request_id;

    let mut shop = api.shop();
    if shop.orders.len() >= MAX_KEPT {
        return Err(Problem::full("orders"));
    }
    order.summary.total = price(&shop, &order.lines)?;
    order.summary.id = shop.next_order;
    shop.next_order += 1;
    for line in &order.lines {
        if let Some(book) = shop.books.get_mut(&line.isbn) {
            book.summary.stock -= line.quantity;
        }
    }
    shop.orders.insert(order.summary.id, order.clone());
    let location = format!("/orders/{}", order.summary.id);
    Ok((StatusCode::CREATED, [(LOCATION, location)], Json(order)))
}

/// `trackOrder`
pub async fn track(
    State(api): State<DemoApi>,
    path: PathValue,
    query: Parameters,
) -> Result<Json<OrderSummary>, Problem> {
    let id = path.read(rule::integer(1..=rule::MAX_ID))?;
    query.finish()?;
    let shop = api.shop();
    let order = shop.orders.get(&id).ok_or_else(|| no_order(id))?;
    Ok(Json(order.summary.clone()))
}

/// `cancelOrder`
pub async fn cancel(
    State(api): State<DemoApi>,
    path: PathValue,
    query: Parameters,
) -> Result<StatusCode, Problem> {
    let id = path.read(rule::integer(1..=rule::MAX_ID))?;
    query.finish()?;
    let mut shop = api.shop();
    match shop.orders.get(&id).map(|order| order.summary.status) {
        Some(OrderStatus::Placed) => {}
        Some(OrderStatus::Shipped) => {
            let detail = format!("order {id} was shipped and cannot be cancelled");
            return Err(Problem::new(StatusCode::CONFLICT, detail));
        }
        None => return Err(no_order(id)),
    }
    for line in shop
        .orders
        .remove(&id)
        .into_iter()
        .flat_map(|order| order.lines)
    {
        if let Some(book) = shop.books.get_mut(&line.isbn) {
            book.summary.stock += line.quantity;
        }
    }
    Ok(StatusCode::NO_CONTENT)
}

fn read_order(order: &mut Members<'_>) -> Option<Order> {
    let lines = order.required("lines", |lines| {
        lines.list(1..=10, |line| line.object(read_line))
    });
    let ship_to = order.required("ship_to", |address| address.object(read_address));
    let payment_method = order.required("payment", |payment| payment.object(read_payment));
    let gift_note = order.optional("gift_note", None, |note| {
        note.nullable(|note| note.text(rule::length(1..=200)))
    });
    Some(Order {
        summary: OrderSummary {
            id: 0,
            status: OrderStatus::Placed,
            total: 0,
        },
        lines: lines?,
        ship_to: ship_to?,
        payment_method: payment_method?,
        gift_note: gift_note?,
        request_id: None,
    })
}

fn read_line(line: &mut Members<'_>) -> Option<OrderLine> {
    let isbn = line.required("isbn", |isbn| isbn.text(rule::isbn));
    let quantity = line.optional("quantity", 1, |quantity| quantity.integer(1..=20));
    Some(OrderLine {
        isbn: isbn?,
        quantity: quantity?,
    })
}

fn read_address(address: &mut Members<'_>) -> Option<Address> {
    let short = |text: Value<'_>| text.text(rule::length(1..=80));
    let name = address.required("name", short);
    let street = address.required("street", short);
    let city = address.required("city", short);
    let postcode = address.optional("postcode", None, |postcode| {
        postcode.nullable(|postcode| postcode.text(rule::length(1..=12)))
    });
    let country = address.required("country", |country| country.text(rule::country));
    Some(Address {
        name: name?,
        street: street?,
        city: city?,
        postcode: postcode?,
        country: country?,
    })
}

/// Checks the payment and keeps its method alone: the demo charges nobody.
fn read_payment(payment: &mut Members<'_>) -> Option<PaymentMethod> {
    let method = payment.required("method", |method| method.text(rule::choice))?;
    match method {
        PaymentMethod::Card => {
            payment.required("card_token", |token| token.text(rule::card_token))?;
        }
        PaymentMethod::Invoice => {
            let email = payment.required("email", |email| email.text(rule::email));
            let days = payment.optional("days", 14, |days| days.integer_of(&[14, 30]));
            email.and(days)?;
        }
        PaymentMethod::Voucher => {
            payment.required("codes", |codes| {
                codes.list(1..=3, |code| code.text(rule::voucher))
            })?;
        }
    }
    Some(method)
}

/// The total in euro cents, when every line can be filled.
fn price(shop: &Shop, lines: &[OrderLine]) -> Result<u64, Problem> {
    let mut total = 0;
    let mut violations = Vec::new();
    for (index, line) in lines.iter().enumerate() {
        let mut refuse = |member: &str, message: String| {
            let pointer = format!("/lines/{index}/{member}");
            violations.push(Violation::new(Place::Body, &pointer, message));
        };
        if lines[..index].iter().any(|other| other.isbn == line.isbn) {
            refuse("isbn", "is in an earlier line already".to_owned());
            continue;
        }
        match shop.books.get(&line.isbn).map(|book| &book.summary) {
            None => refuse("isbn", "is no book of the shop".to_owned()),
            Some(book) if book.stock < line.quantity => {
                refuse(
                    "quantity",
                    format!("is more than the {} in stock", book.stock),
                );
            }
            Some(book) => total += book.price * line.quantity,
        }
    }
    if violations.is_empty() {
        Ok(total)
    } else {
        Err(Problem::unprocessable(violations))
    }
}

fn no_order(id: u64) -> Problem {
    Problem::not_found(format!("there is no order {id}"))
}

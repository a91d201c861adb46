//! Fields and pages against the answers table.

mod answers;

use answers::{PageAnswer, PagesGroup, PagesRow};
use mcphub_core::call::{
    Arguments, Fields, HttpAnswer, HttpRequest, Next, PageRequest, Pages, Stop, ToolResult,
};
use mcphub_core::tool::OutputShape;
use serde_json::Value;
use url::Url;

#[test]
fn fields_leave_what_the_table_says() {
    let mut wrong = Vec::new();
    for group in answers::fields() {
        for row in group.rows {
            let made = Fields::parse(&row.fields).ok().map(|fields| {
                let picked = fields.of(&row.answer.to_string()).unwrap();
                (
                    serde_json::from_str::<Value>(&picked.json).unwrap(),
                    picked.absent,
                )
            });
            let expected = row.left.map(|left| (left, row.absent));
            if made != expected {
                wrong.push(format!(
                    "{} ({}): {:?}\n  expected {expected:?}\n  made     {made:?}",
                    group.name, group.standard, row.fields
                ));
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn pages_become_one_as_the_table_says() {
    for group in answers::pages() {
        for row in &group.rows {
            let at = format!("{} ({}): {}", group.name, group.standard, row.name);
            let (merged, note) = read(&group, row, &at);
            assert_eq!(merged, row.merged, "{at}");
            assert_eq!(note, row.note, "{at}");
        }
    }
}

/// Reads the pages of a row as an executor does.
fn read(group: &PagesGroup, row: &PagesRow, at: &str) -> (Value, Option<String>) {
    let binding = group.binding();
    let base = Url::parse("http://api.test/base").unwrap();
    let arguments = Value::Object(row.arguments.clone()).to_string();
    let request = binding
        .request(&base, &Arguments::parse(&arguments).unwrap())
        .unwrap();
    let mut left = row.answers.clone();
    let mut get = |request: &HttpRequest| {
        let target = &request.url[url::Position::BeforePath..];
        let mut target = target.strip_prefix("/base").unwrap().to_owned();
        if let Some(body) = &request.body {
            target.push(' ');
            target.push_str(std::str::from_utf8(&body.bytes).unwrap());
        }
        answer(
            &left
                .remove(&target)
                .unwrap_or_else(|| panic!("{at}: {target} is asked")),
        )
    };
    let first = get(&request);
    let whole = |answer: &HttpAnswer| serde_json::from_slice(&answer.body).unwrap();
    if row.pages == 1 {
        return (whole(&first), None);
    }
    let asked = PageRequest::of(&group.pages, &request);
    let Some(mut pages) = Pages::begin(&group.pages, vec!["key"], asked, &first) else {
        return (whole(&first), None);
    };
    let mut stop = Stop::Enough;
    while let (true, Next::At(next)) = (pages.count() < row.pages as usize, pages.next().clone()) {
        let mut request = request.clone();
        next.put_into(&binding, &mut request).unwrap();
        let page = get(&request);
        if page.status != 200 {
            let ToolResult { content, .. } = ToolResult::from_answer(&page, OutputShape::None, "");
            let text = serde_json::to_value(&content[0]).unwrap();
            stop = Stop::Failed(text["text"].as_str().unwrap().to_owned());
            break;
        }
        if !pages.add(next, &page) {
            stop = Stop::Failed("its answer has no list".to_owned());
            break;
        }
    }
    let note = pages.note(&binding, &stop);
    assert!(left.is_empty(), "{at}: not everything is asked");
    (serde_json::from_str(&pages.merged()).unwrap(), Some(note))
}

fn answer(page: &PageAnswer) -> HttpAnswer {
    HttpAnswer {
        status: page.status,
        content_type: Some("application/json".to_owned()),
        retry_after: None,
        link: page.link.clone(),
        cut: None,
        body: page.body.to_string().into(),
    }
}

#[test]
fn pages_keep_the_text_of_their_items() {
    let group = &answers::pages()[0];
    let page = |body: &str| HttpAnswer {
        body: body.to_owned().into(),
        ..answer(&PageAnswer {
            status: 200,
            link: None,
            body: Value::Null,
        })
    };
    let url = |query: &str| PageRequest {
        url: Url::parse(&format!("http://api.test/fixed{query}")).unwrap(),
        member: None,
    };
    let first = page("\u{feff}{\"data\" : [ 1.10 ,\n2 ],\"meta\":{\"next\":\"b\"}}");
    let mut pages = Pages::begin(&group.pages, Vec::new(), url(""), &first).unwrap();
    assert!(pages.add(
        url("?cursor=b"),
        &page("{\"data\": [12345678901234567890123], \"x\": \"\\u00e9\"}")
    ));
    assert_eq!(
        pages.merged(),
        "{\"data\": [1.10 ,\n2,12345678901234567890123], \"x\": \"\\u00e9\"}"
    );
    let note = pages.note(&group.binding(), &Stop::TooLarge("10 MiB".to_owned()));
    assert_eq!(note, "[2 pages read; there are no more]");
}

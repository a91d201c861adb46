//! Bindings and arguments against the wire table.

mod wire;

use mcphub_core::call::Arguments;
use url::Url;
use wire::{Wire, shown};

#[test]
fn every_row_of_the_table_is_what_goes_on_the_wire() {
    let groups = wire::table();
    wire::count(&groups);
    let base = Url::parse("http://api.test/base").unwrap();
    let mut wrong = Vec::new();
    for group in &groups {
        for row in &group.rows {
            let arguments = Arguments::parse(row.arguments.get()).unwrap();
            let made = match group.binding.request(&base, &arguments) {
                Ok(request) => {
                    let target = &request.url[url::Position::BeforePath..];
                    let headers = request.headers.iter();
                    Ok(Wire::new(
                        target.strip_prefix("/base").unwrap(),
                        headers.map(|(name, value)| (name.as_str(), value.as_bytes())),
                        request.body.as_ref().map(|body| body.bytes.as_ref()),
                    ))
                }
                Err(error) => {
                    let named = error.context().find(|(key, _)| *key == "argument");
                    Err(named.map(|(_, argument)| argument.to_owned()))
                }
            };
            if made != row.expected {
                wrong.push(format!(
                    "{}\n  expected {:?}\n  made     {made:?}",
                    shown(group, row),
                    row.expected
                ));
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

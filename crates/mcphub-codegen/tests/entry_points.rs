//! The entry points of the fuzz targets, on seeds that are mutated from a fixed start: the same
//! inputs each time, with any compiler. `MCPHUB_FUZZ_ROUNDS` asks for more of them.

#[path = "../../../fuzz/dice.rs"]
mod dice;
#[path = "../../../fuzz/entry_points.rs"]
mod entry_points;

use dice::{Dice, run};
use entry_points::SEEDS;

#[test]
fn documents() {
    run(entry_points::document, &SEEDS);
}

#[test]
fn yaml() {
    run(
        entry_points::yaml,
        &[
            b"a: 1\nb:\n  - c: x # y\n    d: 'e'\n  - \"f\\n\"\ng: {h: [i, 2]}\n200: one\n  two\n",
            b"a: |\n  one\n   two\n\nb: >-\n  three\n  four\n\n  five\nc:\n- 1.5\n- - true\n  - null\n",
            b"a: 'one\n  two'\nb: \"one \\\n  two\"\nc: [\n  x,\n  y\n]\nd:\ne: -1\n",
        ],
    );
    run(entry_points::yaml, &SEEDS);
}

#[test]
fn edited_documents() {
    let mut dice = Dice(1);
    let seeds: Vec<_> = (0..64).map(|_| dice.bytes(33)).collect();
    let seeds: Vec<&[u8]> = seeds.iter().map(Vec::as_slice).collect();
    for seed in &seeds {
        entry_points::edited_document(seed);
    }
    run(entry_points::edited_document, &seeds);
}

#[test]
fn overlays() {
    run(
        entry_points::overlay,
        &[
            br#"{"overlay": "1.1.0", "info": {"title": "x", "version": "1"}, "actions": [{"target": "$.paths['/books'].get", "update": {"summary": "x", "tags": ["a"]}}, {"target": "$..parameters[?@.in == 'query']", "remove": true}]}"#,
            b"overlay: 1.2.0\ninfo: {title: x, version: '1'}\nactions:\n- target: $.components.schemas.*\n  copy: $.components.schemas.Book\n- target: $.info\n  update: {title: y}\n",
        ],
    );
}

#[test]
fn mock_requests() {
    run(
        entry_points::mock_request,
        &[
            b"GET\n/books\nlimit=2&sort=title\nAccept: application/json\n",
            b"POST\n/orders\n\nContent-Type: application/json\nX-Api-Key: x\n\n{\"lines\": [{\"isbn\": \"9780141439518\", \"quantity\": 1}]}",
            b"POST\n/pictures\n\nContent-Type: multipart/form-data; boundary=x\n\n--x\nContent-Disposition: form-data; name=\"a\"\n\n1\n--x--",
            b"PUT\n/settings\na=1&a=%ff&b[c]=d\nCookie: a=b; c\nPrefer: code=404\n\na=1&b=2",
        ],
    );
}

#[test]
fn recordings() {
    run(
        entry_points::recording,
        &[
            br#"{"log": {"version": "1.2", "entries": [{"request": {"method": "POST", "url": "https://a.test/v1/books?token=abcdefgh&x=1", "headers": [{"name": "Authorization", "value": "Bearer abcdefgh"}], "postData": {"mimeType": "application/json", "text": "{\"password\": \"abcdefgh\", \"a\": [[1]]}"}}, "response": {"status": 200, "headers": [], "content": {"mimeType": "image/png", "text": "iVBORw0KGgo=", "encoding": "base64"}}}]}}"#,
        ],
    );
}

#[test]
fn arguments() {
    run(
        entry_points::arguments,
        &[
            br#"{"isbn": "../../admin", "limit": 1e400, "fields": ["a,b", "c%2Fd"], "filter": {"a": {"b": [1, null]}}, "body": "AAEC", "id": "", "review_id": 18446744073709551616}"#,
            br#"{"title": "a\r\nX-Evil: 1", "tags": [true, {}], "X-Trace": "\u0000", "user": "a;b=c", "": 1}"#,
        ],
    );
}

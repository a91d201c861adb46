/** Values are written as OpenAPI 3.0.4 says ("Style Values", "Style Examples"). */

import assert from "node:assert/strict";
import { test } from "node:test";

import { exact } from "../src/exact.ts";
import { HttpRequest } from "../src/request.ts";
import { join, jsonText, pairs, percent, reserved, scalar, single, type Style } from "../src/serialization.ts";

const ARRAY = ["blue", "black", "brown"];
const OBJECT = { R: 100, G: 200, B: 150 };

const PATH: [Style, boolean, unknown, string | undefined][] = [
  ["matrix", false, "", ";color"],
  ["matrix", false, "blue", ";color=blue"],
  ["matrix", false, ARRAY, ";color=blue,black,brown"],
  ["matrix", false, OBJECT, ";color=R,100,G,200,B,150"],
  ["matrix", true, ARRAY, ";color=blue;color=black;color=brown"],
  ["matrix", true, OBJECT, ";R=100;G=200;B=150"],
  ["label", false, "", "."],
  ["label", false, ARRAY, ".blue,black,brown"],
  ["label", false, OBJECT, ".R,100,G,200,B,150"],
  ["label", true, ARRAY, ".blue.black.brown"],
  ["label", true, OBJECT, ".R=100.G=200.B=150"],
  ["simple", false, ARRAY, "blue,black,brown"],
  ["simple", false, OBJECT, "R,100,G,200,B,150"],
  ["simple", true, OBJECT, "R=100,G=200,B=150"],
  ["simple", false, [null], undefined],
  ["simple", false, {}, undefined],
];

test("paths and headers", () => {
  for (const [style, explode, value, expected] of PATH) {
    assert.equal(single("color", value, style, explode, percent), expected);
  }
});

const QUERY: [Style, boolean, unknown, string][] = [
  ["form", false, "", "color="],
  ["form", false, ARRAY, "color=blue,black,brown"],
  ["form", false, OBJECT, "color=R,100,G,200,B,150"],
  ["form", true, ARRAY, "color=blue&color=black&color=brown"],
  ["form", true, OBJECT, "R=100&G=200&B=150"],
  ["spaceDelimited", false, ARRAY, "color=blue%20black%20brown"],
  ["pipeDelimited", false, ARRAY, "color=blue%7Cblack%7Cbrown"],
  ["deepObject", true, OBJECT, "color%5BR%5D=100&color%5BG%5D=200&color%5BB%5D=150"],
  ["deepObject", true, { a: { b: 1 }, c: [1, 2] }, "color%5Ba%5D%5Bb%5D=1&color%5Bc%5D=1&color%5Bc%5D=2"],
  ["form", true, null, ""],
  ["form", false, [], ""],
  ["form", true, [1, null, true], "color=1&color=true"],
  ["form", true, "a&b=c d+ü!'()*", "color=a%26b%3Dc%20d%2B%C3%BC%21%27%28%29%2A"],
];

test("queries", () => {
  for (const [style, explode, value, expected] of QUERY) {
    assert.equal(join(pairs("color", value, style, explode, percent), "&"), expected);
  }
});

test("allowReserved passes reserved characters and triples", () => {
  assert.equal(reserved("/a?b=c,d:e@f%20g%zz"), "/a?b=c,d:e@f%20g%25zz");
  assert.equal(reserved("a&b#c+d[e]ü"), "a%26b%23c%2Bd%5Be%5D%C3%BC");
});

test("numbers and texts", () => {
  const rows: [unknown, text: string, json: string][] = [
    [1, "1", "1"],
    [exact("1.0"), "1", "1.0"],
    [exact("-0.0"), "0", "-0.0"],
    [exact("1e21"), "1e+21", "1e21"],
    [exact("12345678901234567890123"), "12345678901234567890123", "12345678901234567890123"],
    [1.5e-7, "1.5e-7", "1.5e-7"],
    [true, "true", "true"],
    ["ü\n", "ü\n", '"ü\\n"'],
    [{ a: [exact("1.10")] }, '{"a":[1.10]}', '{"a":[1.10]}'],
  ];
  for (const [value, text, json] of rows) assert.deepEqual([scalar(value), jsonText(value)], [text, json]);
  assert.throws(() => exact("1; x"), SyntaxError);
});

function made(path: string, fill: (request: HttpRequest) => void): HttpRequest {
  const request = new HttpRequest("POST", path, { accept: "*/*" });
  fill(request);
  request.finish();
  return request;
}

test("a value never changes the shape of the path", () => {
  for (const value of ["..", ".", ""]) {
    assert.throws(
      () =>
        made("/pets/{id}/toys", (it) => {
          it.path("id", value);
        }),
      /id: .* is not possible here/,
    );
  }
  assert.equal(
    made("/pets/{id}", (it) => {
      it.path("id", "../a?b#c%2e$&");
    }).target,
    "/pets/..%2Fa%3Fb%23c%252e%24%26",
  );
});

test("header values cannot add headers", () => {
  assert.throws(
    () =>
      made("/", (it) => {
        it.header("X-Trace", "a\r\nEvil: 1");
      }),
    /X-Trace: a header value cannot hold control characters/,
  );
});

test("a whole query is one value", () => {
  const query = (content: string, value: unknown): string =>
    made("/a?b=1", (it) => {
      it.query("q", "x");
      it.queryString("all", value, { content });
      it.addQuery("key", "s&");
    }).target;

  assert.equal(
    query("application/x-www-form-urlencoded", { a: [1, 2], o: {} }),
    "/a?b=1&q=x&a=1&a=2&o=%7B%7D&key=s%26",
  );
  assert.equal(query("application/json", { a: 1 }), "/a?b=1&q=x&%7B%22a%22%3A1%7D&key=s%26");
  assert.equal(query("application/x-www-form-urlencoded", null), "/a?b=1&q=x&key=s%26");
});

test("a cookie is sent as it is, and stays one", () => {
  const cookie = (value: unknown): unknown =>
    new Map(
      made("/", (it) => {
        it.cookie("c", value, { style: "cookie", explode: false });
      }).headers,
    ).get("cookie");

  assert.equal(cookie("a b/ü%"), "c=a b/ü%");
  assert.equal(cookie(["a", "b"]), "c=a,b");
  assert.throws(() => cookie("a; b=c"), /c: a cookie cannot hold a semicolon/);
  assert.throws(() => cookie("a\n"), /c: a header value cannot hold control characters/);
});

test("null is a value and undefined is none", () => {
  assert.equal(
    made("/", (it) => {
      it.jsonMembers([
        ["a", null],
        ["b", undefined],
      ]);
    }).body,
    '{"a":null}',
  );
  assert.equal(
    made("/", (it) => {
      it.jsonMembers([["b", undefined]], { required: false });
    }).body,
    undefined,
  );
});

test("form fields without a style", () => {
  const request = made("/", (it) => {
    const form = it.form();
    form.field("a", [1, 2]);
    form.field("o", { k: [1] });
    form.field("s", "x&y");
  });
  assert.equal(request.body, "a=1&a=2&o=%7B%22k%22%3A%5B1%5D%7D&s=x%26y");
});

test("bytes come in base64", () => {
  const bytes = (text: string): unknown =>
    made("/", (it) => {
      it.binary(text, { argument: "b", mediaType: "image/png" });
    }).body;

  assert.deepEqual(bytes("aG k="), Buffer.from("hi"));
  assert.deepEqual(bytes("aGk"), Buffer.from("hi"));
  for (const text of ["aGk!", "a", "_w=="]) assert.throws(() => bytes(text), /b: must be the bytes in base64/);
});

test("lists are lines of JSON", () => {
  const lines = (mediaType: string): unknown =>
    made("/", (it) => {
      it.jsonLines([{ a: "x y" }, null], { argument: "l", mediaType });
    }).body;

  assert.equal(lines("application/x-ndjson"), '{"a":"x y"}\nnull\n');
  assert.equal(lines("application/json-seq"), '\x1e{"a":"x y"}\n\x1enull\n');
});

test("parts are text, JSON and files", () => {
  const request = made("/", (it) => {
    const form = it.multipart();
    form.field("text", ["x", null, exact("1.0")]);
    form.field("object", { k: [1] });
    form.field("file", { data: "aGk", filename: 'a".txt', contentType: "text/plain" }, { file: true });
    form.field("json", "x", { mediaType: "application/json" });
    form.field("list", ["a", "b"], { style: "pipeDelimited", explode: false });
    form.field("unset", undefined);
  });

  const type = new Map(request.headers).get("content-type") ?? "";
  const boundary = type.replace("multipart/form-data; boundary=", "");
  assert.match(boundary, /^[0-9a-f]{32}$/);
  const [, ...parts] = Buffer.from(request.body ?? "")
    .toString()
    .split(`--${boundary}`);
  assert.deepEqual(parts, [
    '\r\nContent-Disposition: form-data; name="text"\r\n\r\nx\r\n',
    '\r\nContent-Disposition: form-data; name="text"\r\n\r\n1\r\n',
    '\r\nContent-Disposition: form-data; name="object"\r\nContent-Type: application/json\r\n\r\n{"k":[1]}\r\n',
    '\r\nContent-Disposition: form-data; name="file"; filename="a%22.txt"\r\nContent-Type: text/plain\r\n\r\nhi\r\n',
    '\r\nContent-Disposition: form-data; name="json"\r\nContent-Type: application/json\r\n\r\n"x"\r\n',
    '\r\nContent-Disposition: form-data; name="list"\r\n\r\na|b\r\n',
    "--\r\n",
  ]);
  const file = (value: unknown) => () => {
    new HttpRequest("POST", "/", { accept: "*/*" }).multipart().field("f", value, { file: true });
  };
  assert.throws(file({ filename: "x" }), /f: a file has its bytes in base64 as `data`/);
  assert.throws(file({ data: "", contentType: "a\r\nb" }), /f: a header value cannot hold control characters/);
});

test("what nests too deeply is refused", () => {
  let value: unknown = "x";
  for (let depth = 0; depth < 100_000; depth += 1) value = [value];
  assert.throws(
    () =>
      made("/", (it) => {
        it.json(value, { argument: "a" });
      }),
    /a: nests too deeply/,
  );
});

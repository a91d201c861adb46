/** Fields of answers, and pages that become one. */

import assert from "node:assert/strict";
import { test } from "node:test";

import { Fields } from "../src/fields.ts";
import { nextLink, type NextPage } from "../src/pages.ts";
import { ArgumentError, HttpRequest } from "../src/request.ts";
import type { ToolResult } from "../src/result.ts";
import { TooMuchError } from "../src/steps.ts";
import { stubbed } from "./stub.ts";

const texts = (result: ToolResult): string[] => result.content.map((item) => (item.type === "text" ? item.text : ""));
const request = (): HttpRequest => new HttpRequest("GET", "/things", { accept: "*/*" });

test("fields leave what they name", () => {
  const answer = [{ id: 1, owner: { name: "x", n: 2 }, tags: ["a"] }, { owner: {} }];
  for (const [fields, value, absent] of [
    [["id"], [{ id: 1 }, {}], []],
    [["owner.name", "$[*]['id', \"tags\"]"], [{ id: 1, owner: { name: "x" }, tags: ["a"] }, { owner: {} }], []],
    [["*.id", "nmae"], [{ id: 1 }, {}], ["nmae"]],
    [["$[?@.id >= 1 && @.owner.name == 'x'].id"], [{ id: 1 }], []],
    [["$[?count(@.*) == 1 || !@.owner]"], [{ owner: {} }], []],
    [["$[?length(@.tags) == $[0].id].tags"], [{ tags: ["a"] }], []],
    [["$[?@.id == true]"], [], ["$[?@.id == true]"]],
    [["$"], answer, []],
  ] as const) {
    assert.deepEqual(new Fields(fields).of(answer), { value, absent });
  }
});

test("what is no field is refused", () => {
  const filters = ["a[?b]", "a[?match(@, 'b')]"];
  for (const field of ["", ".", "a.", "a..b", "$..", "a[01]", "a[]", "a['b]", "a*", "x".repeat(513), ...filters]) {
    assert.throws(() => new Fields([field]), ArgumentError, field);
  }
});

test("filters look at so many values", () => {
  const list = Array.from({ length: 200 }, () => [
    [1, 2, 3],
    [4, 5, 6],
  ]);
  assert.throws(() => new Fields([`$[?count($${"..*".repeat(9)}) > 1]`]).of(list), TooMuchError);
});

test("the next link is found among others", () => {
  for (const [header, target] of [
    ['<https://a/?page=2>; rel="next", <https://a/?page=9>; rel="last"', "https://a/?page=2"],
    ['</a?x=1,2;3>; rel="prev", </b>;title="a, <b>; rel=next";rel=NEXT', "/b"],
    ['<u>; rel="last next"', "u"],
    ["<u>; rel=prev", undefined],
    ["", undefined],
  ] as const) {
    assert.equal(nextLink(header), target);
  }
});

test("pages become one", async () => {
  for (const [next, link, more, query] of [
    [{ by: "cursor", at: ["next"], parameter: "c" }, undefined, { next: "x/y" }, "?c=x%2Fy"],
    [{ by: "url", at: ["next"] }, undefined, { next: "?p=2" }, "?p=2"],
    [{ by: "link" }, '<?p=2>; rel="next"', {}, "?p=2"],
    [{ by: "page", parameter: "p", first: 1 }, undefined, {}, "?p=2"],
    [{ by: "offset", parameter: "o", first: 0 }, undefined, {}, "?o=2"],
  ] satisfies [NextPage, string | undefined, object, string][]) {
    const headers = { "content-type": "application/json", ...(link !== undefined && { link }) };
    const answers = [
      Response.json({ data: [1, 2], ...more }, { headers }),
      Response.json({ data: [], next: null, total: 2 }),
    ];
    const { api, sent } = stubbed(() => answers.shift() ?? new Response(null, { status: 404 }));

    const result = await api.call(request(), "none", { pages: 5, items: ["data"], next });

    assert.deepEqual(
      sent.map(({ url }) => new URL(url).search),
      ["", query],
    );
    const [text = "", note] = texts(result);
    assert.deepEqual(JSON.parse(text), { data: [1, 2], next: null, total: 2 });
    assert.equal(note, "[2 pages read; there are no more]");
  }
});

test("pages stay at the origin, and a failure says how to go on", async () => {
  const away = stubbed(() => Response.json({ data: [1], next: "https://other.test/" }));
  const next = { by: "url", at: ["next"] } as const;
  const result = await away.api.call(request(), "none", { pages: 2, items: ["data"], next });
  assert.equal(texts(result)[1], "[1 page read; the next one is not read: it is at another origin]");
  assert.equal(away.sent.length, 1);

  const answers = [Response.json({ data: [1], next: "b" }), new Response(null, { status: 500 })];
  const { api } = stubbed(() => answers.shift() ?? new Response(null));
  const first = request();
  first.query("c", "a", { argument: "cursor" });
  const cursor = { by: "cursor", at: ["next"], parameter: "c" } as const;
  const failed = await api.call(first, "none", { pages: 2, items: ["data"], next: cursor });
  const why = "the next one failed: HTTP 500 Internal Server Error";
  assert.equal(texts(failed)[1], `[1 page read; ${why}; there are more: call again with cursor=b]`);
});

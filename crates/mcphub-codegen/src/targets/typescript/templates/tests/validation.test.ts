/** What is said of arguments and answers that do not fit their schema. */

import assert from "node:assert/strict";
import { test } from "node:test";

import { parseExact } from "../src/exact.ts";
import { Check, MAX_UNIQUE_ITEMS } from "../src/validation.ts";

const SCHEMA = {
  type: "object",
  properties: {
    limit: { type: "integer", minimum: 1, maximum: 20 },
    genre: { type: "array", minItems: 1, uniqueItems: true, items: { $ref: "#/$defs/Genre" } },
    code: { type: "string", pattern: "^[a-z]+$", format: "date", maxLength: 3 },
    odd: { type: "string", pattern: "(?<broken" },
    "a/b ~c": { type: ["string", "null"] },
    either: {
      anyOf: [{ type: "object", properties: { a: { type: "string" } }, additionalProperties: false }, { type: "null" }],
    },
    one: { oneOf: [{ minimum: 1 }, { minimum: 2 }] },
    format: { const: { format: "x" } },
  },
  required: ["limit"],
  additionalProperties: false,
  $defs: { Genre: { enum: ["novel", "poetry"] } },
};

const ROWS: [args: string, ...problems: string[]][] = [
  ['{"limit": 1, "code": "abc", "odd": "x", "format": {"format": "x"}}'],
  ['{"limit": 2.0, "either": null}'],
  ["{}", "limit: is required"],
  ['{"limit": "1"}', "limit: must be an integer"],
  ['{"limit": 1.5}', "limit: must be an integer"],
  ['{"limit": 21}', "limit: must be at most 20"],
  ['{"limit": 1, "genre": []}', "genre: must have at least 1 item"],
  ['{"limit": 1, "genre": ["crime"]}', 'genre[0]: must be one of "novel", "poetry"'],
  ['{"limit": 1, "genre": ["novel", "novel"]}', "genre: must not have the same item twice"],
  ['{"limit": 1, "code": "ABCD"}', "code: must have at most 3 characters", "code: must match the pattern ^[a-z]+$"],
  ['{"limit": 1, "a/b ~c": 1}', "a/b ~c: must be a string or null"],
  ['{"limit": 1, "either": {"a": 1}}', "either.a: must be a string"],
  ['{"limit": 1, "either": {"b": 1}}', "either.b: is not possible here"],
  ['{"limit": 1, "either": 1}', "either: must be an object, or must be null"],
  ['{"limit": 1, "one": 3}', "one: must fit exactly one of the alternatives, and fits more"],
  ['{"limit": 1, "Limt": 1}', "Limt: is not an argument of this tool; did you mean limit?"],
  [
    '{"limit": 1, "zzz": 1}',
    "zzz: is not an argument of this tool; its arguments are limit, genre, code, odd, a/b ~c, either, one, format",
  ],
];

test("each problem says what is expected", () => {
  const check = new Check(SCHEMA);
  for (const [args, ...problems] of ROWS)
    assert.deepEqual(check.problems(parseExact(args)).sort(), problems.sort(), args);
});

test("problems are bounded, and of an answer only the first is told", () => {
  const schema = { type: "object", additionalProperties: { type: ["string", "null"] } };
  const value = Object.fromEntries(Array.from({ length: 30 }, (_, at) => [`m${at}`, 1]));

  assert.equal(new Check(schema).problems(value).length, 10);
  assert.equal(new Check(schema).problems(value).at(-1), "and more");
  assert.equal(new Check(schema).firstProblem(value), "m0: must be a string or null");
});

test("items are compared within a bound", () => {
  const items = Array.from({ length: MAX_UNIQUE_ITEMS + 1 }, (_, at) => at);

  assert.deepEqual(new Check({ properties: { a: { uniqueItems: true } } }).problems({ a: items.slice(1, 100) }), []);
  assert.match(
    new Check({ properties: { a: { uniqueItems: true, maxItems: 5 } } }).problems({ a: items.slice(0, 6) }).join(),
    /at most 5 items/,
  );
});

test("recursive schemas are followed, and what nests too deeply is told", () => {
  const check = new Check({
    properties: { a: { $ref: "#/$defs/Tree" } },
    $defs: { Tree: { items: { $ref: "#/$defs/Tree" }, type: "array" } },
  });
  let deep: unknown = [];
  for (let depth = 0; depth < 50_000; depth += 1) deep = [deep];

  assert.deepEqual(check.problems({ a: [[[1]]] }), ["a[0][0][0]: must be an array"]);
  assert.deepEqual(check.problems({ a: deep }), ["a value nests too deeply to be checked"]);
  assert.equal(check.firstProblem({ a: deep }), undefined);
});

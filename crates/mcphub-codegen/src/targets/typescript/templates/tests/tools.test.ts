/** Every tool, called with the arguments of `examples.json`, sends the request that stands there. */

import assert from "node:assert/strict";
import { test } from "node:test";

import { TOOLS } from "../src/tools/index.ts";
import { EXAMPLES, stubbed } from "./stub.ts";

test("every tool has an example", () => {
  assert.deepEqual(
    EXAMPLES.map((example) => example.tool),
    TOOLS.map((tool) => tool.name),
  );
});

for (const [at, tool] of TOOLS.entries()) {
  const example = EXAMPLES[at];
  const { request } = example ?? {};
  if (!example || !request) {
    test(tool.name, { skip: "no arguments could be made from the schema: write some into examples.json" });
    continue;
  }

  test(`${tool.name} sends its request`, async () => {
    const { api, sent } = stubbed(() => Response.json(example.answer));

    const result = await tool.run(api, example.arguments);

    assert.equal(result.isError, false, JSON.stringify(result.content));
    const [first, ...rest] = sent;
    assert.ok(first && rest.length === 0);
    assert.deepEqual([first.method, first.url, first.body], [request.method, request.url, request.body ?? ""]);
    for (const [name, value] of request.headers) {
      assert.equal(Buffer.from(first.headers.get(name) ?? "", "latin1").toString(), value);
    }
  });

  test(`${tool.name} refuses an unknown argument`, async () => {
    const { api, sent } = stubbed(() => Response.json(example.answer));

    const result = await tool.run(api, { ...example.arguments, "no such argument": 1 });

    assert.equal(result.isError, true);
    assert.match(JSON.stringify(result.content), /- no such argument: is not an argument of this tool/);
    assert.equal(sent.length, 0);
  });
}

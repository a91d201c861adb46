/** Numbers stay as they were written, from the client to the API and back. */

import assert from "node:assert/strict";
import { PassThrough } from "node:stream";
import { test } from "node:test";
import type { JSONRPCMessage } from "@modelcontextprotocol/server";

import { approximate, exact, isExact, parseExact, readMessage } from "../src/exact.ts";
import { LineTransport, MAX_MESSAGE } from "../src/stdio.ts";

test("numbers that JavaScript would change keep their text", () => {
  const text = '[1,-2,0.5,1.0,12345678901234567890,1e2,-0,9007199254740993,"1.0"]';

  assert.equal(JSON.stringify(parseExact(text)), text);
  assert.deepEqual(
    (parseExact(text) as unknown[]).filter(isExact).map((it) => it.rawJSON),
    ["1.0", "12345678901234567890", "1e2", "-0", "9007199254740993"],
  );
  assert.deepEqual(approximate(parseExact('{"a":[1.0,1e2]}')), { a: [1, 100] });
  assert.equal(exact("7"), 7);
});

test("arguments of a tool are exact, and the rest of a message is as ever", () => {
  const text = '{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"a.1","arguments":{"id":1.0,"b":2}}}';

  const message = readMessage(text) as unknown as { id: unknown; params: { arguments: Record<string, unknown> } };

  assert.equal(message.id, 1);
  assert.equal(JSON.stringify(message.params.arguments), '{"id":1.0,"b":2}');
  assert.throws(() => readMessage('{"jsonrpc":"2.0"'), SyntaxError);
});

test("messages are lines, however they arrive, and their length is bounded", async () => {
  const input = new PassThrough();
  const output = new PassThrough();
  const transport = new LineTransport(input, output);
  const received: JSONRPCMessage[] = [];
  let errors = 0;
  transport.onmessage = (message) => received.push(message);
  transport.onerror = () => (errors += 1);
  const closed = new Promise<void>((resolve) => (transport.onclose = resolve));
  await transport.start();

  const ping = '{"jsonrpc":"2.0","id":"ü","method":"ping"}\n';
  for (const byte of Buffer.from(`${ping}\n{broken\n${ping}`)) input.write(Buffer.from([byte]));
  await transport.send({ jsonrpc: "2.0", id: 1, result: {} });
  assert.equal(String(output.read()), '{"jsonrpc":"2.0","id":1,"result":{}}\n');
  input.write(Buffer.alloc(MAX_MESSAGE + 1, "x"));
  await closed;

  assert.deepEqual(received, [JSON.parse(ping), JSON.parse(ping)]);
  assert.equal(errors, 2);
});

/** What the API answers, and what is made of it. */

import assert from "node:assert/strict";
import { inspect } from "node:util";
import { gzipSync } from "node:zlib";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { test } from "node:test";

import { Api, MAX_ANSWER } from "../src/api.ts";
import { authorize, type Scheme } from "../src/credentials.ts";
import { isExact } from "../src/exact.ts";
import { HttpRequest } from "../src/request.ts";
import { Rest } from "../src/rest.ts";
import type { Output, ToolResult } from "../src/result.ts";
import { MAX_RETRIES } from "../src/retry.ts";
import { Secret } from "../src/secret.ts";
import { settings, stubbed, type Sent } from "./stub.ts";

const JSON_TYPE = { headers: { "content-type": "application/json" } };

async function call(
  answer: () => Response | Promise<Response>,
  output: Output = "none",
  method = "GET",
): Promise<{ result: ToolResult; sent: Sent[]; text: string }> {
  const { api, sent } = stubbed(answer);
  const result = await api.call(new HttpRequest(method, "/things", { accept: "*/*" }), output);
  const [first] = result.content;
  return { result, sent, text: first?.type === "text" ? first.text : "" };
}

test("JSON is text and structure, and its numbers are exact", async () => {
  const body = '{"a": 10000000000000000000000001, "b": 1.0}';
  const { result, text } = await call(() => new Response(body, JSON_TYPE), "object");

  assert.equal(text, body);
  assert.ok(isExact(result.structured?.["a"]));
  assert.equal(JSON.stringify(result.toMcp().structuredContent), body.replaceAll(" ", ""));
});

test("a list is wrapped", async () => {
  const { result } = await call(() => Response.json([1]), "wrapped");

  assert.deepEqual(result.structured, { result: [1] });
});

test("an empty answer is no error", async () => {
  const { result, text } = await call(() => new Response(null, { status: 204 }), "object");

  assert.deepEqual([text, result.structured, result.isError], ["HTTP 204 No Content", {}, false]);
});

test("another shape is returned and flagged", async () => {
  for (const [body, why] of [
    ["{broken", "not valid JSON"],
    ["[1]", "promises a JSON object"],
    ["1.0", "promises a JSON object"],
    ["[".repeat(500) + "]".repeat(500), "nests deeper"],
  ] as const) {
    const { result, text } = await call(() => new Response(body, JSON_TYPE), "object");

    assert.ok(result.isError && text.includes(why), text);
    assert.deepEqual(result.content[1], { type: "text", text: body });
  }
});

test("errors say status, reason and body", async () => {
  const { result, text } = await call(
    () => new Response("slow down", { status: 429, headers: { "retry-after": "60" } }),
  );

  assert.equal(result.isError, true);
  assert.equal(text, "HTTP 429 Too Many Requests (Retry-After: 60)\nslow down");
});

test("what is safe to repeat goes again when asked to", async () => {
  for (const [retryAfter, repeats] of [
    ["0", true],
    ["Sun, 06 Nov 1994 08:49:37 GMT", true],
    ["Sun Nov  6 08:49:37 1994", true],
    ["soon", false],
    ["1.5", false],
    ["", false],
    ["11", false],
    ["9".repeat(30), false],
  ] as const) {
    const refusal = (): Response => new Response(null, { status: 503, headers: { "retry-after": retryAfter } });
    const get = await call(refusal);
    assert.deepEqual([get.result.isError, get.sent.length], [true, repeats ? 1 + MAX_RETRIES : 1], retryAfter);
    const post = await call(refusal, "none", "POST");
    assert.equal(post.sent.length, 1);
  }
});

test("images are images, and other bytes a resource without secrets", async () => {
  const image = await call(() => new Response(new Uint8Array([1]), { headers: { "content-type": "image/png" } }));
  assert.deepEqual(image.result.content, [{ type: "image", data: "AQ==", mimeType: "image/png" }]);

  const other = await call(() => new Response(new Uint8Array([255]), { headers: { "content-type": "text/plain" } }));
  const uri = "http://api.test/base/things";
  assert.deepEqual(other.result.content, [
    { type: "resource", resource: { uri, mimeType: "text/plain", blob: "/w==" } },
  ]);
});

test("a bad secret is not repeated", async () => {
  const { api, sent } = stubbed(() => Response.json({}));
  const request = new HttpRequest("GET", "/things", { accept: "*/*" });
  request.setHeader("x-key", "s3cret\n");

  const result = await api.call(request);

  const text = "The value for the HTTP header `x-key` has characters that a header cannot hold";
  assert.deepEqual(result.content, [{ type: "text", text }]);
  assert.equal(sent.length, 0);
});

test("secrets are not shown", () => {
  const shown = settings({ serverToken: new Secret("s3cret") });

  assert.ok(!`${inspect(shown)}${JSON.stringify(shown)}${String(shown.serverToken)}`.includes("s3cret"));
});

test("secrets go where their scheme says", () => {
  const schemes = new Map<string, Scheme>([
    ["q", { kind: "apiKey", variable: "Q", in: "query", name: "k y" }],
    ["c", { kind: "apiKey", variable: "C", in: "cookie", name: "c" }],
    ["b", { kind: "basic", variable: "B" }],
    ["t", { kind: "bearer", variable: "T" }],
  ]);
  const secret = (text: string): Secret => new Secret(text);
  const credentials = {
    headers: new Map([["X-All", secret("yes")]]),
    bearer: secret("token"),
    schemes: new Map([
      ["q", secret("1&")],
      ["c", secret("2;")],
      ["b", secret("user:ü")],
    ]),
  };
  const sent = (security: string[][]): string[] => {
    const request = new HttpRequest("GET", "/", { accept: "*/*", security });
    authorize(request, credentials, schemes);
    return [request.target, ...request.headers.slice(1).map((header) => header.join(": "))];
  };

  assert.deepEqual(sent([["q", "c"]]), ["/?k%20y=1%26", "cookie: c=2%3B", "x-all: yes"]);
  assert.deepEqual(sent([["none"], ["b"]]), ["/", "authorization: Basic dXNlcjrDvA==", "x-all: yes"]);
  assert.deepEqual(sent([["t"]]), ["/", "authorization: Bearer token", "x-all: yes"]);
  assert.deepEqual(sent([]), ["/", "x-all: yes"]);
});

test("redirects stay at the origin", async () => {
  const { result, sent, text } = await call(
    () => new Response(null, { status: 302, headers: { location: "https://other.test/things" } }),
  );

  assert.ok(result.isError && text.includes("another origin, https://other.test, which is not followed"), text);
  assert.equal(sent.length, 1);
});

test("redirects are bounded", async () => {
  const moved = (): Response => new Response(null, { status: 307, headers: { location: "/things" } });
  const { sent, text } = await call(moved, "none", "POST");

  assert.ok(text.includes("redirected more than 5 times"), text);
  assert.deepEqual(
    sent.map((request) => request.method),
    Array(6).fill("POST"),
  );
});

test("every method is sent, with a body and who calls", async (context) => {
  const seen: unknown[] = [];
  const server = createServer((request, response) => {
    const chunks: Buffer[] = [];
    request.on("data", (chunk: Buffer) => chunks.push(chunk));
    request.on("end", () => {
      const { authorization, "content-length": length } = request.headers;
      seen.push([request.method, request.url, authorization, length, Buffer.concat(chunks).toString()]);
      response.writeHead(request.method === "TRACE" ? 204 : 200, { "content-type": "application/json" }).end("{}");
    });
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  context.after(() => server.close());
  const port = (server.address() as AddressInfo).port;
  const api = new Api(settings({ baseUrl: `http://a:b%20c@127.0.0.1:${port}/base` }));
  for (const [method, body] of [
    ["GET", "ü"],
    ["TRACE", undefined],
    ["DELETE", "x"],
  ] as const) {
    const request = new HttpRequest(method, "/it", { accept: "*/*" });
    request.text(body, { argument: "body", mediaType: "text/plain" });
    const result = await api.call(request, "object");
    assert.deepEqual([result.isError, result.structured], [false, {}], JSON.stringify(result.content));
  }

  const login = `Basic ${Buffer.from("a:b c").toString("base64")}`;
  assert.deepEqual(seen, [
    ["GET", "/base/it", login, "2", "ü"],
    ["TRACE", "/base/it", login, undefined, ""],
    ["DELETE", "/base/it", login, "1", "x"],
  ]);
});

test("failures of the network are told", async (context) => {
  const bomb = gzipSync(Buffer.alloc(MAX_ANSWER + 1));
  const server = createServer((request, response) => {
    if (request.url?.endsWith("/bomb")) response.writeHead(200, { "content-encoding": "gzip" }).end(bomb);
    else request.socket.destroy();
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const host = `127.0.0.1:${(server.address() as AddressInfo).port}`;
  const api = new Api(settings({ baseUrl: `http://${host}` }));
  const told = async (method: string, path: string): Promise<unknown> => {
    const result = await api.call(new HttpRequest(method, path, { accept: "*/*" }));
    return result.content.map((item) => (item.type === "text" ? item.text : item.type)).join();
  };
  context.after(() => server.close());

  assert.equal(await told("GET", "/bomb"), `The API at ${host} answered more than 10 MiB; ask for less`);
  const odd = `The API at ${host} did not answer as HTTP asks: other side closed`;
  assert.equal(await told("GET", "/"), odd);
  assert.equal(await told("POST", "/"), `${odd}. The request may have been carried out all the same`);

  await new Promise((resolve) => server.close(resolve));
  assert.equal(await told("POST", "/"), `The API at ${host} could not be reached: connection refused`);
});

test("a long answer comes in pieces", async () => {
  const whole = "aü€🦀".repeat(Math.ceil(MAX_ANSWER / 7));
  const { api } = stubbed(() => new Response(whole, { headers: { "content-type": "text/plain" } }));
  const texts: string[] = [];
  const notes: string[] = [];
  let rest = Rest.asked(undefined);
  for (let piece = 0; piece < 2; piece += 1) {
    const result = await api.call(new HttpRequest("GET", "/things", { accept: "*/*" }), "none", { rest });
    const [first, second] = result.content.map((content) => (content.type === "text" ? content.text : ""));
    texts.push(first ?? "");
    notes.push(second ?? "");
    if (piece === 0) rest = Rest.asked(/rest=([^\]]*)\]$/.exec(second ?? "")?.[1]);
  }

  assert.ok(texts.join("") === whole);
  const size = Buffer.byteLength(whole);
  assert.match(notes[0] ?? "", /^\[cut: bytes 0 to 10485760 of \w+ are given; for the rest call again/);
  assert.ok(notes[1]?.endsWith(` to ${size} of ${size} are given: this is the end]`), notes[1]);
});

test("an answer that changed has no rest, and a place is one that an answer named", async () => {
  const { api } = stubbed(() => new Response("other"));
  const rest = Rest.asked("3.AAAAAAAAAAAAAAAAAAAAAA");
  const result = await api.call(new HttpRequest("GET", "/things", { accept: "*/*" }), "none", { rest });
  assert.ok(result.isError && JSON.stringify(result.content).includes("is not what it was before"));

  for (const place of ["", "1", "1.", "-1.AAAAAAAAAAAAAAAAAAAAAA", "x.AAAAAAAAAAAAAAAAAAAAAA", "1.AAAA"]) {
    assert.throws(() => Rest.asked(place), /is none that an answer named/);
  }
});

/** A stream in pieces of some bytes, which then ends, goes on, or fails. */
function streamed(kind: string, bytes: Uint8Array, size: number, end: () => void): Response {
  let start = 0;
  const body = new ReadableStream({
    pull(controller) {
      if (start < bytes.length) {
        controller.enqueue(bytes.subarray(start, start + size));
        start += size;
      } else {
        end();
        controller.close();
      }
    },
  });
  return new Response(body, { headers: { "content-type": kind } });
}

const EVENTS = ": hello\n\nevent: step\ndata: a\ndata:b\nid: 1\n\nretry: 3\r\n\r\ndata: ü\r\n\r\ndata: unfinished";
const LINES = '{"n": 1}\n\n\u001e{"n": 2}\r\n{"n"';

test("a stream is told while it comes", async () => {
  for (const [kind, text, told] of [
    ["Text/Event-Stream; charset=utf-8", EVENTS, ["a\nb", "ü"]],
    ["application/jsonl", LINES, ['{"n": 1}', '{"n": 2}']],
    ["application/x-ndjson", `${"x".repeat(5000)}\n`, [`${"x".repeat(4096)}…`]],
    ["text/plain", LINES, []],
  ] as const) {
    for (const size of [1, 7, 10_000]) {
      const heard: string[] = [];
      let before = -1;
      const { api } = stubbed(() => streamed(kind, Buffer.from(text), size, () => (before = heard.length)));
      const telling = api.telling((message) => Promise.resolve(void heard.push(message)));
      const result = await telling.call(new HttpRequest("GET", "/things", { accept: "*/*" }));

      assert.deepEqual(heard, told);
      // The stub is a piece ahead of who reads; what came before was told.
      assert.ok(before >= told.length - 1 || size > 1);
      assert.deepEqual(result.content, [{ type: "text", text }]);
    }
  }
});

test("of a stream that goes on whole lines stay", async () => {
  const begin = "data: 1\n\ndata: unfinish";
  const late = (): void => {
    throw new DOMException("late", "TimeoutError");
  };
  const gone = (): void => {
    throw new Error("gone");
  };
  for (const [text, end, why] of [
    [begin, late, "went on after 30 s"],
    [begin, gone, "broke off: gone"],
    [begin + "x".repeat(MAX_ANSWER), (): void => undefined, "is over 10 MiB"],
  ] as const) {
    const { result } = await call(() => streamed("text/event-stream", Buffer.from(text), 1 << 16, end));

    assert.equal(result.isError, false);
    assert.deepEqual(result.content, [
      { type: "text", text: "data: 1\n\n" },
      { type: "text", text: `[cut: the stream ${why}; 9 bytes of it are given]` },
    ]);
  }
});

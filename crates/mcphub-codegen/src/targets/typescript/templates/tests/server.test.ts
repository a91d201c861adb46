/** The server, as clients of both eras see it. */

import assert from "node:assert/strict";
import type { AddressInfo } from "node:net";
import { test, type TestContext } from "node:test";
import { fileURLToPath } from "node:url";
import { Client, StreamableHTTPClientTransport, type Transport } from "@modelcontextprotocol/client";
import { StdioClientTransport } from "@modelcontextprotocol/client/stdio";

import { VERSION } from "../src/about.ts";
import { createServer } from "../src/server.ts";
import { httpServer } from "../src/serving.ts";
import { Secret } from "../src/secret.ts";
import { VARIABLES, settingsFrom, type Settings } from "../src/settings.ts";
import { TOOLS } from "../src/tools/index.ts";
import { EXAMPLES, settings, stubbed } from "./stub.ts";

async function serving(
  context: TestContext,
  changes: Partial<Settings> = {},
  answer = (): Response => Response.json({}),
): Promise<URL> {
  const { api } = stubbed(answer);
  const server = httpServer(() => createServer(api), settings(changes));
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  context.after(() => {
    server.closeAllConnections();
    server.close();
  });
  return new URL(`http://127.0.0.1:${(server.address() as AddressInfo).port}/mcp`);
}

function overStdio(): Transport {
  return new StdioClientTransport({
    command: process.execPath,
    args: [fileURLToPath(new URL("../src/main.ts", import.meta.url))],
    env: { [VARIABLES.baseUrl]: "http://api.test" },
  });
}

const TRANSPORTS: [string, (context: TestContext) => Promise<Transport>][] = [
  ["HTTP", async (context) => new StreamableHTTPClientTransport(await serving(context))],
  ["stdio", () => Promise.resolve(overStdio())],
];

for (const mode of ["auto", "legacy"] as const) {
  for (const [name, transport] of TRANSPORTS) {
    test(`tools are listed as they are defined, and unknown ones are a protocol error: ${mode}, ${name}`, async (context) => {
      const client = new Client({ name: "test", version: "1" }, { versionNegotiation: { mode } });
      await client.connect(await transport(context));
      context.after(() => client.close());

      assert.equal(client.getNegotiatedProtocolVersion(), mode === "auto" ? "2026-07-28" : "2025-11-25");
      assert.equal(client.getServerVersion()?.version, VERSION);
      const { tools } = await client.listTools();
      const schemas = TOOLS.map((tool) => JSON.parse(JSON.stringify(tool.definition.inputSchema)) as unknown);
      assert.deepEqual(
        tools.map((tool) => tool.inputSchema),
        schemas,
      );
      await assert.rejects(client.callTool({ name: "no_such_tool", arguments: {} }), /Unknown tool: no_such_tool/);
    });
  }
}

const CALLED = EXAMPLES.find((example) => example.request !== null);

for (const mode of CALLED ? (["auto", "legacy"] as const) : []) {
  test(`clients hear of a stream: ${mode}`, async (context) => {
    const { tool = "", arguments: args = {} } = CALLED ?? {};
    const headers = { "content-type": "text/event-stream" };
    const url = await serving(context, {}, () => new Response("data: 1\n\ndata: 2\n\n", { headers }));
    const client = new Client({ name: "test", version: "1" }, { versionNegotiation: { mode } });
    await client.connect(new StreamableHTTPClientTransport(url));
    context.after(() => client.close());
    const heard: unknown[] = [];
    const onprogress = (told: unknown): void => void heard.push(told);
    // A structure that the stream has not is no matter here.
    await client.callTool({ name: tool, arguments: args }, { onprogress }).catch(() => undefined);

    assert.deepEqual(heard, [
      { progress: 1, message: "1" },
      { progress: 2, message: "2" },
    ]);
  });
}

const PING = JSON.stringify({ jsonrpc: "2.0", id: 1, method: "ping" });
const HEADERS = {
  accept: "application/json, text/event-stream",
  "content-type": "application/json",
  "mcp-protocol-version": "2025-11-25",
};

async function post(url: URL, headers: Record<string, string> = {}, body = PING): Promise<number> {
  const response = await fetch(url, { method: "POST", headers: { ...HEADERS, ...headers }, body });
  await response.body?.cancel();
  return response.status;
}

test("HTTP asks for the token", async (context) => {
  const url = await serving(context, { serverToken: new Secret("t0ken") });

  assert.equal(await post(url), 401);
  assert.equal(await post(url, { authorization: "Bearer other" }), 401);
  assert.equal(await post(url, { authorization: "Bearer t0ken" }), 200);
  assert.equal((await fetch(new URL("/healthz", url))).status, 200);
});

test("HTTP refuses other origins, other paths, what is no JSON and what is too large", async (context) => {
  const url = await serving(context);

  assert.equal(await post(url, { origin: "http://evil.test" }), 403);
  assert.equal(await post(new URL("/other", url)), 404);
  assert.equal(await post(url, {}, "{broken"), 400);
  assert.equal(await post(url, {}, `"${"x".repeat(5 << 20)}"`), 413);
});

test("settings name what is wrong, and never its value", () => {
  const base = { [VARIABLES.baseUrl]: "http://api.test", MCP_TRANSPORT: "http", MCP_PORT: "8080" };
  for (const [name, value] of [
    ["MCP_TRANSPORT", "s3cret"],
    ["MCP_PORT", "70000"],
    ["MCP_SERVER_TOKEN", ""],
  ] as const) {
    assert.throws(
      () => settingsFrom({ ...base, [name]: value }),
      (error: Error) => error.message.includes(name) && !error.message.includes("s3cret"),
    );
  }
});

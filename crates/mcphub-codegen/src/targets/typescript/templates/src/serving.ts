/** The server over stdio and over streamable HTTP, in both eras of the protocol. */

import { createHash, timingSafeEqual } from "node:crypto";
import { createServer as createHttpServer, type IncomingMessage, type Server, type ServerResponse } from "node:http";
import { isIPv6 } from "node:net";
import {
  localhostHostValidation,
  localhostOriginValidation,
  toNodeHandler,
  type NodeMcpRequestHandler,
} from "@modelcontextprotocol/node";
import { createMcpHandler, type McpServerFactory } from "@modelcontextprotocol/server";
import { serveStdio as serve } from "@modelcontextprotocol/server/stdio";

import { NAME } from "./about.ts";
import { readMessage } from "./exact.ts";
import type { Secret } from "./secret.ts";
import type { Settings } from "./settings.ts";
import { LineTransport } from "./stdio.ts";

/** The largest message that is read over HTTP, in bytes. */
export const MAX_MESSAGE = 4 * 1024 * 1024;
/** How long calls may go on once the process is told to stop, in seconds. */
export const GRACE = 5;

const LOOPBACK = ["127.0.0.1", "::1", "localhost"];

/** Serves one client over standard input and output until its end closes. */
export function serveStdio(factory: McpServerFactory): void {
  serve(factory, { transport: new LineTransport() });
}

/** Serves clients at `/mcp` until the process is told to stop; `/healthz` answers while it does. */
export function serveHttp(factory: McpServerFactory, settings: Settings): void {
  const server = httpServer(factory, settings);
  server.listen(settings.port, settings.host, () => {
    const host = isIPv6(settings.host) ? `[${settings.host}]` : settings.host;
    console.error(`${NAME}: serving MCP at http://${host}:${settings.port}/mcp`);
  });
  server.on("error", (error) => {
    console.error(`${NAME}: ${error.message}`);
    process.exitCode = 1;
  });
  const stop = (): void => {
    server.close(() => process.exit(0));
    server.closeIdleConnections();
    setTimeout(() => process.exit(0), GRACE * 1000).unref();
  };
  process.once("SIGTERM", stop);
  process.once("SIGINT", stop);
}

/** The HTTP server, not yet listening. On a loopback address it checks `Host` and `Origin` (DNS rebinding). */
export function httpServer(factory: McpServerFactory, settings: Settings): Server {
  // No state in the process: any number of copies can stand behind a load balancer.
  const handler = toNodeHandler(createMcpHandler(factory, { maxRequestBodySize: MAX_MESSAGE }));
  const checks = LOOPBACK.includes(settings.host) ? [localhostHostValidation(), localhostOriginValidation()] : [];
  const respond = async (request: IncomingMessage, response: ServerResponse): Promise<void> => {
    const path = request.url?.split("?", 1)[0];
    if (path === "/healthz") {
      answer(response, 200, "ok");
    } else if (!checks.every((passes) => passes(request, response))) {
      // Answered already.
    } else if (settings.serverToken && !admits(request, settings.serverToken)) {
      answer(response.setHeader("www-authenticate", "Bearer"), 401, "Unauthorized");
    } else if (path !== "/mcp") {
      answer(response, 404, "Not Found");
    } else if (request.method === "POST") {
      await receive(request, response, handler);
    } else {
      await handler(request, response);
    }
  };
  return createHttpServer((request, response) => {
    respond(request, response).catch(() => {
      if (response.headersSent) response.destroy();
      else answer(response, 500, "Internal Server Error");
    });
  });
}

async function receive(
  request: IncomingMessage,
  response: ServerResponse,
  handler: NodeMcpRequestHandler,
): Promise<void> {
  const text = await readText(request);
  const message = text === undefined ? undefined : parsed(text);
  if (text === undefined) {
    answer(response.setHeader("connection", "close"), 413, "Content Too Large");
  } else if (message === undefined) {
    const error = { code: -32700, message: "Parse error: the body is not JSON" };
    answer(response, 400, JSON.stringify({ jsonrpc: "2.0", error, id: null }), "application/json");
  } else {
    await handler(request, response, message);
  }
}

function answer(response: ServerResponse, status: number, text: string, type = "text/plain; charset=utf-8"): void {
  response.writeHead(status, { "content-type": type }).end(text);
}

/** Whether the request shows the token. The comparison takes as long whatever is shown. */
function admits(request: IncomingMessage, token: Secret): boolean {
  const digest = (text: string): Buffer => createHash("sha256").update(text).digest();
  return timingSafeEqual(digest(request.headers.authorization ?? ""), digest(`Bearer ${token.reveal()}`));
}

/** The body; `undefined` when it is too large. */
async function readText(request: IncomingMessage): Promise<string | undefined> {
  const chunks: Buffer[] = [];
  let size = 0;
  for await (const chunk of request as AsyncIterable<Buffer>) {
    size += chunk.length;
    if (size > MAX_MESSAGE) return undefined;
    chunks.push(chunk);
  }
  return Buffer.concat(chunks).toString();
}

/** The body as the SDK takes it: a message with exact arguments, or whatever JSON it is. */
function parsed(text: string): unknown {
  try {
    return readMessage(text);
  } catch {
    // No message: the SDK says what is wrong with it, if it is JSON at all.
  }
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}

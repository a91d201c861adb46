/** A stub of the API that records what it is sent. */

import { readFileSync } from "node:fs";

import { Api } from "../src/api.ts";
import { parseExact } from "../src/exact.ts";
import { Secret } from "../src/secret.ts";
import { SCHEMES, type Settings } from "../src/settings.ts";

/** A call of a tool, what it sends, and what the API may answer. */
export interface Example {
  tool: string;
  arguments: Record<string, unknown>;
  answer: unknown;
  request: { method: string; url: string; headers: [name: string, value: string][]; body: string | null } | null;
}

export const EXAMPLES = parseExact(readFileSync(new URL("examples.json", import.meta.url), "utf8")) as Example[];

/** One request as it was sent. */
export interface Sent {
  method: string;
  url: string;
  headers: Headers;
  body: string;
}

/** The API with a secret for every scheme, answered by a function; and what was sent to it. */
export function stubbed(answer: () => Response | Promise<Response>): { api: Api; sent: Sent[] } {
  const sent: Sent[] = [];
  const api = new Api(settings(), async (url, { method, headers, body }) => {
    sent.push({ method, url: url.href, headers: new Headers(headers), body: body?.toString() ?? "" });
    return Promise.resolve(answer());
  });
  return { api, sent };
}

/** Settings with a secret for every scheme. */
export function settings(changes: Partial<Settings> = {}): Settings {
  const names = [...SCHEMES].filter(([, scheme]) => scheme.kind !== "unsupported").map(([name]) => name);
  return {
    baseUrl: "http://api.test/base",
    credentials: {
      headers: new Map(),
      bearer: undefined,
      schemes: new Map(names.map((name, number) => [name, new Secret(`secret ${number}`)])),
    },
    transport: "stdio",
    host: "127.0.0.1",
    port: 8000,
    serverToken: undefined,
    ...changes,
  };
}

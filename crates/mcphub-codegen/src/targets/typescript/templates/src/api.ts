/** Requests go to the API, and its answers come back as tool results. */

import { setTimeout as sleep } from "node:timers/promises";
import { getSystemErrorMessage } from "node:util";

import { USER_AGENT } from "./about.ts";
import { authorize } from "./credentials.ts";
import type { HttpRequest } from "./request.ts";
import { ToolResult, type Answer, type Output } from "./result.ts";
import { MAX_RETRIES, waitFor } from "./retry.ts";
import { send, type Send } from "./send.ts";
import { hasControl } from "./serialization.ts";
import { SCHEMES, type Settings } from "./settings.ts";

/** The longest wait for a whole answer, in seconds. */
export const TIMEOUT = 30;
/** The largest answer that is read, in bytes after decompression. */
export const MAX_ANSWER = 10 * 1024 * 1024;
/** How many redirects are followed, always to the same origin: credentials never leave it. */
export const MAX_REDIRECTS = 5;

/** The API at the base URL of the settings, with their credentials. */
export class Api {
  readonly #settings: Settings;
  readonly #transport: Send;

  constructor(settings: Settings, transport: Send = send) {
    this.#settings = settings;
    this.#transport = transport;
  }

  /**
   * Sends a request; whatever goes wrong is a tool error.
   *
   * Throws an `ArgumentError` when an argument cannot be sent.
   */
  async call(request: HttpRequest, output: Output = "none"): Promise<ToolResult> {
    request.finish();
    const base = URL.parse(request.server ?? "", this.#settings.baseUrl);
    const shown = base && urlOf(base, request.target);
    if (!shown) return ToolResult.error("The request cannot be made: its server and its path do not make a URL");
    try {
      authorize(request, this.#settings.credentials, SCHEMES);
      logIn(request, base);
      const url = urlOf(base, request.target) ?? shown;
      return ToolResult.fromAnswer(await this.#patiently(request, url), output, shown.href);
    } catch (error) {
      if (error instanceof Refused) return ToolResult.error(error.message);
      return ToolResult.error(failure(error, base, request.method));
    }
  }

  /** Sends a request again for as long as the API says when to come back. */
  async #patiently(request: HttpRequest, url: URL): Promise<Answer> {
    const end = performance.now() + TIMEOUT * 1000;
    const signal = AbortSignal.timeout(TIMEOUT * 1000);
    for (let tries = 0; request.repeatable && tries < MAX_RETRIES; tries += 1) {
      const answer = await this.#send(request, url, signal);
      const wait = waitFor(answer);
      if (wait === undefined || performance.now() + wait * 1000 >= end) return answer;
      await sleep(wait * 1000);
    }
    return this.#send(request, url, signal);
  }

  async #send(request: HttpRequest, start: URL, signal: AbortSignal): Promise<Answer> {
    const headers = headersOf(request);
    let { method } = request;
    let body = request.body === undefined ? undefined : Buffer.from(request.body);
    let url = start;
    for (let redirects = 0; redirects <= MAX_REDIRECTS; redirects += 1) {
      const response = await this.#transport(url, { method, headers, body, signal });
      const location = response.status >= 300 && response.status < 400 ? response.headers.get("location") : null;
      if (location === null) return await read(response, url);
      await response.body?.cancel();
      url = redirectOf(response.status, location, url);
      // RFC 9110, 15.4: 307 and 308 repeat the request; a POST that moved, and every 303, becomes a GET.
      if ((response.status === 303 && method !== "HEAD") || (response.status < 303 && method === "POST")) {
        method = "GET";
        body = undefined;
        headers.delete("content-type");
      }
    }
    throw new Refused(`The API at ${url.host} redirected more than ${MAX_REDIRECTS} times; the call was given up`);
  }
}

/** The API answered with something that is not read or followed; the message says what. */
class Refused extends Error {}

/** User and password of a URL are basic authentication (RFC 3986, 3.2.1), unless the request says who calls. */
function logIn(request: HttpRequest, base: URL): void {
  if (base.username === "" || request.headers.some(([name]) => name === "authorization")) return;
  const pair = `${decodeURIComponent(base.username)}:${decodeURIComponent(base.password)}`;
  request.setHeader("authorization", `Basic ${Buffer.from(pair).toString("base64")}`);
}

/** The base's path before the target's own, without user and password. */
function urlOf(base: URL, target: string): URL | null {
  const url = URL.parse(`${base.origin}${base.pathname.replace(/\/+$/, "")}${target}`);
  return url?.origin === base.origin ? url : null;
}

function headersOf(request: HttpRequest): Headers {
  const headers = new Headers({ "user-agent": USER_AGENT });
  const given = new Set<string>();
  for (const [name, value] of request.headers) {
    if (!/^[!#$%&'*+.^_`|~0-9A-Za-z-]+$/.test(name))
      throw new Refused(`\`${name}\` cannot be the name of an HTTP header`);
    // The value may be a secret: it is not repeated.
    if (hasControl(value)) {
      throw new Refused(`The value for the HTTP header \`${name}\` has characters that a header cannot hold`);
    }
    // `Headers` takes a character for each byte.
    const bytes = Buffer.from(value).toString("latin1");
    if (given.has(name)) headers.append(name, bytes);
    else headers.set(name, bytes);
    given.add(name);
  }
  return headers;
}

function redirectOf(status: number, location: string, url: URL): URL {
  const target = URL.parse(location, url.href);
  if (!target) throw new Refused(`The API at ${url.host} redirected to an address that cannot be read`);
  if (target.origin !== url.origin) {
    throw new Refused(
      `The API at ${url.host} answered HTTP ${status} with a redirect to another origin, ` +
        `${target.protocol}//${target.host}, which is not followed`,
    );
  }
  return target;
}

async function read(response: Response, url: URL): Promise<Answer> {
  const chunks: Uint8Array[] = [];
  let size = 0;
  if (response.body) {
    for await (const chunk of response.body as AsyncIterable<Uint8Array>) {
      chunks.push(chunk);
      size += chunk.length;
      if (size > MAX_ANSWER) {
        throw new Refused(`The API at ${url.host} answered more than ${MAX_ANSWER >> 20} MiB; ask for less`);
      }
    }
  }
  return {
    status: response.status,
    contentType: response.headers.get("content-type") ?? "",
    retryAfter: response.headers.get("retry-after") ?? undefined,
    body: Buffer.concat(chunks),
  };
}

/** Why there is no answer. */
function failure(error: unknown, base: URL, method: string): string {
  const safe = ["GET", "HEAD", "OPTIONS"].includes(method);
  const doubt = safe ? "" : ". The request may have been carried out all the same";
  const cause = innermost(error);
  if (cause.name === "TimeoutError") return `The API at ${base.host} did not answer within ${TIMEOUT} s${doubt}`;
  if (["connect", "getaddrinfo"].includes(cause.syscall ?? "")) {
    const reason = cause.errno === undefined ? cause.message : getSystemErrorMessage(cause.errno);
    return `The API at ${base.host} could not be reached: ${reason}`;
  }
  if (cause.code === "UND_ERR_CONNECT_TIMEOUT")
    return `The API at ${base.host} could not be reached: no connection in time`;
  return `The API at ${base.host} did not answer as HTTP asks: ${cause.message}${doubt}`;
}

/** The innermost reason, which never holds the URL. */
function innermost(error: unknown): NodeJS.ErrnoException {
  let reason = error instanceof Error ? error : new Error("unknown");
  for (let depth = 0; depth < 8; depth += 1) {
    const inner: unknown = reason instanceof AggregateError ? reason.errors[0] : reason.cause;
    if (!(inner instanceof Error)) break;
    reason = inner;
  }
  return reason;
}

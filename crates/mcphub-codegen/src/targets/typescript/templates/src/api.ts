/** Requests go to the API, and its answers come back as tool results. */

import { setTimeout as sleep } from "node:timers/promises";
import { getSystemErrorMessage } from "node:util";

import { USER_AGENT } from "./about.ts";
import { causeOf } from "./cause.ts";
import { authoritiesFrom, identityFrom, type Tls } from "./certificates.ts";
import { authorize } from "./credentials.ts";
import { Digest } from "./digest.ts";
import { approximate, type Numeric } from "./exact.ts";
import type { Fields, Picked } from "./fields.ts";
import { MAX_PAGES, Pages, type NextPage } from "./pages.ts";
import { ArgumentError, type HttpRequest } from "./request.ts";
import type { Piece, Rest } from "./rest.ts";
import { ToolResult, errorText, isText, readJson, type Answer, type Output } from "./result.ts";
import { MAX_RETRIES, waitFor } from "./retry.ts";
import type { Secret } from "./secret.ts";
import { send, type Outgoing, type Send } from "./send.ts";
import { hasControl, isJson, jsonText } from "./serialization.ts";
import { SCHEMES, type Settings } from "./settings.ts";
import { TooMuchError } from "./steps.ts";
import { Stream, kindOf, type Tell } from "./streams.ts";

/** The longest wait for a whole answer, in seconds. */
export const TIMEOUT = 30;
/** The largest answer that is read, in bytes after decompression. */
export const MAX_ANSWER = 10 * 1024 * 1024;
/** How many redirects are followed, always to the same origin: credentials never leave it. */
export const MAX_REDIRECTS = 5;

/** What a call wants of its answer. */
export interface AnswerOptions {
  /** How many pages to read and to join, all within the time and the size of one answer. Default: 1. */
  pages?: Numeric | undefined;
  /** Where the list is in a page. Default: the page is the list. */
  items?: readonly string[];
  /** What leads to the next page. */
  next?: NextPage;
  /** Which fields of a JSON answer stay. Default: all. */
  fields?: Fields | undefined;
  /** How to ask for the rest of a long answer, and where it begins. Default: there is none. */
  rest?: Rest;
}

/** What calls share: connections' certificates, and what the API asked for last. */
interface Shared {
  digests: Map<string, Digest>;
  tls: Tls | undefined;
  /** The same for those that show the client certificate. */
  certified: Tls | undefined;
}

/** The API at the base URL of the settings, with their credentials. */
export class Api {
  readonly #settings: Settings;
  readonly #transport: Send;
  readonly #shared: Shared;
  readonly #tell: Tell | undefined;

  constructor(settings: Settings, transport: Send = send, shared?: Shared, tell?: Tell) {
    this.#settings = settings;
    this.#transport = transport;
    this.#shared = shared ?? sharedBy(settings);
    this.#tell = tell;
  }

  /** The same API over the same connections. While a stream of it comes, `tell` hears of what it has. */
  telling(tell: Tell): Api {
    return new Api(this.#settings, this.#transport, this.#shared, tell);
  }

  /**
   * Sends a request; whatever goes wrong is a tool error.
   *
   * Throws an `ArgumentError` when an argument cannot be sent.
   */
  async call(request: HttpRequest, output: Output = "none", options: AnswerOptions = {}): Promise<ToolResult> {
    const { items = [], next, fields } = options;
    if (fields && options.rest && options.rest.offset > 0) {
      throw new ArgumentError(options.rest.argument, "an answer of which fields are chosen has no rest");
    }
    const rest = fields ? undefined : options.rest;
    const pages = Number(approximate(options.pages ?? 1));
    if (pages < 1 || pages > MAX_PAGES) throw new ArgumentError("pages", `must be 1 to ${MAX_PAGES}`);
    request.finish();
    const base = URL.parse(request.server ?? "", this.#settings.baseUrl);
    const shown = base && urlOf(base, request.target);
    if (!shown) return ToolResult.error("The request cannot be made: its server and its path do not make a URL");
    try {
      authorize(request, this.#settings.credentials, SCHEMES);
      logIn(request, base);
      const url = urlOf(base, request.target) ?? shown;
      const end = performance.now() + TIMEOUT * 1000;
      const signal = AbortSignal.timeout(TIMEOUT * 1000);
      let answer = await this.#patiently(request, url, signal, end, rest);
      const notes = answer.note === undefined ? [] : [answer.note];
      if (next && pages > 1 && answer.note === undefined) {
        const read = new Pages({ items, next, secrets: secretNames(), arguments: request.arguments });
        const member = read.member === undefined ? undefined : request.member(read.member);
        if (read.add({ url: shown, member }, answer)) {
          notes.push(await this.#follow(read, request, pages, signal));
          answer = { ...answer, body: read.merged() };
        }
      }
      if (fields) answer = picked(answer, fields, notes);
      return ToolResult.fromAnswer(answer, output, shown.href).noted(notes);
    } catch (error) {
      if (error instanceof Refused) return ToolResult.error(error.message);
      return ToolResult.error(failure(error, base, request.method));
    }
  }

  /** Reads the pages after the first one; returns a line about them. */
  async #follow(pages: Pages, request: HttpRequest, wanted: number, signal: AbortSignal): Promise<string> {
    while (pages.count < wanted && pages.next) {
      const { next } = pages;
      if (pages.member !== undefined) request.setMember(pages.member, next.member);
      const url = new URL(next.url);
      url.search = [next.url.search.slice(1), request.secrets].filter((part) => part !== "").join("&");
      let answer: Answer;
      try {
        answer = await this.#send(request, url, signal);
      } catch (error) {
        const why = error instanceof Refused ? error.message : failure(error, url, request.method);
        return pages.note(`the next one failed: ${why}; `);
      }
      if (pages.size + answer.body.length > MAX_ANSWER) {
        return pages.note(`more would be over ${MAX_ANSWER >> 20} MiB; `);
      }
      if (!pages.add(next, answer)) {
        const isSuccess = answer.status >= 200 && answer.status < 300;
        const why = isSuccess ? "its answer has no list" : errorText(answer).split("\n", 1)[0];
        return pages.note(`the next one failed: ${why}; `);
      }
    }
    return pages.note();
  }

  /** Sends a request again for as long as the API says when to come back. */
  async #patiently(request: HttpRequest, url: URL, signal: AbortSignal, end: number, rest?: Rest): Promise<Answer> {
    for (let tries = 0; request.repeatable && tries < MAX_RETRIES; tries += 1) {
      const answer = await this.#send(request, url, signal, rest);
      const wait = waitFor(answer);
      if (wait === undefined || performance.now() + wait * 1000 >= end) return answer;
      await sleep(wait * 1000);
    }
    return this.#send(request, url, signal, rest);
  }

  async #send(request: HttpRequest, start: URL, signal: AbortSignal, rest?: Rest): Promise<Answer> {
    const headers = headersOf(request);
    let { method } = request;
    let body = request.body === undefined ? undefined : Buffer.from(request.body);
    let url = start;
    for (let redirects = 0; redirects <= MAX_REDIRECTS; redirects += 1) {
      const response = await this.#exchange(request, url, { method, headers, body, signal });
      const location = response.status >= 300 && response.status < 400 ? response.headers.get("location") : null;
      if (location === null) return await read(response, url, { rest, tell: this.#tell });
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

  /** Sends a request, and once more with the answer to what the API asks. */
  async #exchange(request: HttpRequest, url: URL, outgoing: Outgoing): Promise<Response> {
    const { method, headers, body } = outgoing;
    const digest = this.#digest(request.login);
    const tls = request.certified ? this.#shared.certified : this.#shared.tls;
    const transport = async (): Promise<Response> => {
      const answer = digest?.answer(method, url, body);
      if (answer !== undefined) headers.set("authorization", answer);
      return this.#transport(url, { ...outgoing, tls });
    };
    const response = await transport();
    const asked = response.status === 401 ? response.headers.get("www-authenticate") : null;
    if (digest === undefined || asked === null || !digest.ask(asked, headers.get("authorization"))) return response;
    await response.body?.cancel();
    const second = await transport();
    if (second.status === 401) digest.forget();
    return second;
  }

  #digest(login: Secret | undefined): Digest | undefined {
    if (login === undefined) return undefined;
    const known = this.#shared.digests.get(login.reveal()) ?? new Digest(login);
    this.#shared.digests.set(login.reveal(), known);
    return known;
  }
}

function sharedBy(settings: Settings): Shared {
  const { authorities, identity } = settings.credentials;
  const tls = authorities === undefined ? undefined : { ca: authoritiesFrom(authorities) };
  const certified = identity === undefined ? tls : { ...tls, ...identityFrom(identity) };
  return { digests: new Map(), tls, certified };
}

/** The API answered with something that is not read or followed; the message says what. */
class Refused extends Error {}

/** The answer with only these fields. A line about those that it does not have goes to the notes. */
function picked(answer: Answer, fields: Fields, notes: string[]): Answer {
  const essence = (answer.contentType.split(";", 1)[0] ?? "").trim().toLowerCase();
  if (answer.status < 200 || answer.status > 299 || !isJson(essence)) return answer;
  let value: unknown;
  try {
    value = readJson(answer.body);
  } catch {
    return answer;
  }
  let left: Picked;
  try {
    left = fields.of(value);
  } catch (error) {
    if (!(error instanceof TooMuchError)) throw error;
    notes.push(`[all fields are given: ${error.message}]`);
    return answer;
  }
  if (left.absent.length > 0) notes.push(`[the answer has no ${left.absent.join(", ")}]`);
  return { ...answer, body: Buffer.from(jsonText(left.value)) };
}

/** The names of query parameters that hold credentials. */
function secretNames(): string[] {
  const schemes = [...SCHEMES.values()];
  return schemes.flatMap((scheme) => (scheme.kind === "apiKey" && scheme.in === "query" ? [scheme.name] : []));
}

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

async function read(
  response: Response,
  url: URL,
  { rest, tell }: { rest: Rest | undefined; tell: Tell | undefined },
): Promise<Answer> {
  const contentType = response.headers.get("content-type") ?? "";
  let chunks = (response.body ?? []) as AsyncIterable<Uint8Array> | Uint8Array[];
  const isPiece = rest !== undefined && response.ok;
  const kind = isPiece && rest.offset > 0 ? undefined : kindOf(contentType);
  let stream: Stream | undefined;
  if (kind) {
    stream = new Stream(kind, { tell, timeout: TIMEOUT, most: isPiece ? Infinity : MAX_ANSWER });
    chunks = stream.read(chunks);
  }
  let piece: Piece | undefined;
  if (isPiece) {
    // The length of what is read is known where nothing was compressed.
    const length = response.headers.has("content-encoding") ? null : response.headers.get("content-length");
    const stated = length === null ? undefined : Number(length);
    piece = await rest.read(chunks, MAX_ANSWER, stated, isText(contentType));
    if (!piece) {
      throw new Refused(
        `The answer of the API at ${url.host} is not what it was before, so that it has no rest; ` +
          `ask anew without \`${rest.argument}\``,
      );
    }
  }
  piece ??= { body: await whole(chunks, url) };
  return {
    status: response.status,
    contentType,
    retryAfter: response.headers.get("retry-after") ?? undefined,
    link: response.headers.get("link") ?? undefined,
    ...(stream?.cut(piece) ?? piece),
  };
}

async function whole(chunks: AsyncIterable<Uint8Array> | Uint8Array[], url: URL): Promise<Buffer> {
  const read: Uint8Array[] = [];
  let size = 0;
  for await (const chunk of chunks) {
    read.push(chunk);
    size += chunk.length;
    if (size > MAX_ANSWER) {
      throw new Refused(`The API at ${url.host} answered more than ${MAX_ANSWER >> 20} MiB; ask for less`);
    }
  }
  return Buffer.concat(read);
}

/** Why there is no answer. */
function failure(error: unknown, base: URL, method: string): string {
  const safe = ["GET", "HEAD", "OPTIONS"].includes(method);
  const doubt = safe ? "" : ". The request may have been carried out all the same";
  const cause = causeOf(error);
  if (cause.name === "TimeoutError") return `The API at ${base.host} did not answer within ${TIMEOUT} s${doubt}`;
  if (["connect", "getaddrinfo"].includes(cause.syscall ?? "")) {
    const reason = cause.errno === undefined ? cause.message : getSystemErrorMessage(cause.errno);
    return `The API at ${base.host} could not be reached: ${reason}`;
  }
  if (cause.code === "UND_ERR_CONNECT_TIMEOUT")
    return `The API at ${base.host} could not be reached: no connection in time`;
  return `The API at ${base.host} did not answer as HTTP asks: ${cause.message}${doubt}`;
}

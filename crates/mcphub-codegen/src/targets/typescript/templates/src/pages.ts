/** Pages of a list: what leads to the next one, and all of them as one. */

import { isExact } from "./exact.ts";
import { readJson, type Answer } from "./result.ts";
import { isObject, jsonText, percent } from "./serialization.ts";

/** The most pages that one call reads. */
export const MAX_PAGES = 20;

/** A parameter that says which page is asked for. */
interface Parameter {
  parameter: string;
  /** It is a member of a JSON body: the name of its argument, if it has one. Default: it is in the query. */
  body?: string;
}

/** What leads from one page to the next. */
export type NextPage =
  /** `Link: <...>; rel="next"` (RFC 8288, 3). */
  | { by: "link" }
  /** A URL in the page; none on the last one. */
  | { by: "url"; at: readonly string[] }
  /** A value in the page that a parameter takes; none on the last page. */
  | ({ by: "cursor"; at: readonly string[] } & Parameter)
  /** A parameter with the number of the page. The page after the last has no items. */
  | ({ by: "page"; first: number } & Parameter)
  /** A parameter with the number of the first item of a page. The page after the last has none. */
  | ({ by: "offset"; first: number } & Parameter);

/** What asks for a page, beside what asks for all of them alike. */
export interface PageRequest {
  /** Without credentials. */
  url: URL;
  /** The member of a JSON body that says which page it is, where one does. */
  member?: unknown;
}

/** How pages are read. */
export interface Paging {
  /** Where the list is in a page. */
  items: readonly string[];
  next: NextPage;
  /** The query parameters that hold credentials. */
  secrets: readonly string[];
  /** The arguments of the tool by the name of their query parameter. */
  arguments: ReadonlyMap<string, string>;
}

/** Pages read so far. */
export class Pages {
  readonly #paging: Paging;
  readonly #seen: PageRequest[] = [];
  readonly #items: unknown[] = [];
  #last: unknown;
  #astray = "";
  /** How many bytes the pages take. */
  size = 0;
  /** What may ask for the next page. */
  next: PageRequest | undefined;

  constructor(paging: Paging) {
    this.#paging = paging;
  }

  /** How many were read. */
  get count(): number {
    return this.#seen.length;
  }

  /** The name of the member of a JSON body that says which page is asked for, where one does. */
  get member(): string | undefined {
    const { next } = this.#paging;
    return "body" in next ? next.parameter : undefined;
  }

  /** Adds a page. Whether it is one. */
  add(asked: PageRequest, answer: Answer): boolean {
    const page = answer.status >= 200 && answer.status < 300 ? pageOf(answer.body) : undefined;
    const items = valueAt(page, this.#paging.items);
    if (!Array.isArray(items)) return false;
    this.#seen.push(asked);
    for (const item of items as unknown[]) this.#items.push(item);
    this.#last = page;
    this.size += answer.body.length;
    this.#astray = "";
    this.next = this.#nextOf(asked, answer, page, items.length);
    if (this.#seen.some((seen) => this.next && isSame(seen, this.next))) {
      this.next = undefined;
      this.#astray = "it was read already";
    }
    return true;
  }

  /** The pages as one: the last of them with the items of all. */
  merged(): Uint8Array {
    return Buffer.from(jsonText(withItems(this.#last, this.#paging.items, this.#items)));
  }

  /** How many pages these are, why there are no more of them, and how to go on: one line for the model. */
  note(stop = ""): string {
    const read = `${this.count} page${this.count === 1 ? "" : "s"} read`;
    if (this.#astray) return `[${read}; the next one is not read: ${this.#astray}]`;
    if (!this.next) return `[${read}; there are no more]`;
    const more = ["page", "offset"].includes(this.#paging.next.by) ? "there may be more" : "there are more";
    const changed = this.#changed(this.next);
    const how = changed ? `call again with ${changed}` : `up to ${MAX_PAGES} can be read at once`;
    return `[${read}; ${stop}${more}: ${how}]`;
  }

  #nextOf(asked: PageRequest, answer: Answer, page: unknown, count: number): PageRequest | undefined {
    const { next } = this.#paging;
    switch (next.by) {
      case "link":
        return this.#follow(asked.url, nextLink(answer.link ?? ""));
      case "url":
        return this.#follow(asked.url, textOf(valueAt(page, next.at)));
      case "cursor": {
        const last = isLast(valueAt(page, next.at.slice(0, -1)));
        const cursor = last ? undefined : valueAt(page, next.at);
        return textOf(cursor) === undefined ? undefined : this.#with(asked, next.parameter, cursor);
      }
      default: {
        if (count === 0) return undefined;
        const now = textOf(asked.member) ?? asked.url.searchParams.get(next.parameter) ?? "";
        const number = /^\d+$/.test(now) ? Number(now) : next.first;
        return this.#with(asked, next.parameter, number + (next.by === "page" ? 1 : count));
      }
    }
  }

  /** In the body a value stays what it is in the page. */
  #with({ url }: PageRequest, parameter: string, value: unknown): PageRequest {
    if (this.member !== undefined) return { url, member: value };
    return { url: withQuery(url, parameter, textOf(value) ?? "") };
  }

  /** Another origin gets neither the request nor its credentials. */
  #follow(url: URL, target: string | undefined): PageRequest | undefined {
    if (target === undefined) return undefined;
    const found = URL.parse(target, url.href);
    if (found?.origin !== url.origin) {
      this.#astray = found ? "it is at another origin" : "its address is no URL";
      return undefined;
    }
    const next = new URL(url);
    next.pathname = found.pathname;
    next.search = without(found, this.#paging.secrets).join("&");
    return { url: next };
  }

  #changed({ url, member }: PageRequest): string | undefined {
    const { next } = this.#paging;
    if ("body" in next) return next.body && `${next.body}=${(textOf(member) ?? "").slice(0, 512)}`;
    const first = this.#seen[0]?.url;
    if (first?.pathname !== url.pathname) return undefined;
    const old = new Set(Array.from(first.searchParams, (pair) => pair.join("=")));
    const changed = [...url.searchParams].filter((pair) => !old.has(pair.join("=")));
    const named = changed.map(([name, value]) => {
      const argument = this.#paging.arguments.get(name);
      return argument && `${argument}=${value.slice(0, 512)}`;
    });
    return named.includes(undefined) ? undefined : named.join(" and ");
  }
}

const HAS_MORE = ["has_more", "hasMore", "has_next", "hasNext", "has_next_page", "hasNextPage"];
const PARAMETER = String.raw`\s*;\s*([^=;,<>\s]*)\s*(?:=\s*("(?:[^"\\]|\\.)*"|[^;,]*))?`;
/** The longest `Link` that is read, in characters. */
const MAX_LINK = 8192;
const LINK = new RegExp(`<([^>]*)>((?:${PARAMETER})*)`, "g");

/** The target of the first link with the relation `next` (RFC 8288, 3). */
export function nextLink(header: string): string | undefined {
  for (const [, target = "", parameters = ""] of header.slice(0, MAX_LINK).matchAll(LINK)) {
    const named = [...parameters.matchAll(new RegExp(PARAMETER, "g"))];
    const [, , relation = ""] = named.find(([, name]) => name?.toLowerCase() === "rel") ?? [];
    const relations = relation.replaceAll('"', "").trim().toLowerCase().split(/\s+/);
    if (relations.includes("next")) return target.trim();
  }
  return undefined;
}

function isSame(one: PageRequest, other: PageRequest): boolean {
  return one.url.href === other.url.href && textOf(one.member) === textOf(other.member);
}

function pageOf(body: Uint8Array): unknown {
  try {
    return readJson(body);
  } catch {
    return undefined;
  }
}

function valueAt(value: unknown, names: readonly string[]): unknown {
  return names.reduce(
    (found, name) => (isObject(found) && Object.hasOwn(found, name) ? found[name] : undefined),
    value,
  );
}

function withItems(value: unknown, [name, ...names]: readonly string[], items: unknown[]): unknown {
  if (name === undefined || !isObject(value)) return items;
  return Object.fromEntries(
    Object.entries(value).map(([other, member]) => [other, other === name ? withItems(member, names, items) : member]),
  );
}

/** Whether a page says, beside its cursor, that there is none after it. */
function isLast(around: unknown): boolean {
  return isObject(around) && HAS_MORE.some((name) => around[name] === false);
}

/** The text of a string or number that says something. */
function textOf(value: unknown): string | undefined {
  const text = isExact(value) ? value.rawJSON : value;
  if (typeof text !== "string" && typeof text !== "number") return undefined;
  return ["", "0"].includes(String(text)) ? undefined : String(text);
}

/** The pairs of the query but for those of these names. */
function without(url: URL, names: readonly string[]): string[] {
  const pairs = url.search.slice(1).split("&");
  return pairs.filter((pair) => pair !== "" && ![...new URLSearchParams(pair)].some(([name]) => names.includes(name)));
}

/** The URL with another value of one parameter; the others stay as they are. */
function withQuery(url: URL, parameter: string, value: string): URL {
  const next = new URL(url);
  next.search = [...without(url, [parameter]), `${percent(parameter)}=${percent(value)}`].join("&");
  return next;
}

/** Paths into a JSON value as they are written: names with dots between them, and JSONPath (RFC 9535). */

import { exact } from "./exact.ts";
import {
  type Comparison,
  type Filter,
  found,
  holds,
  isSingular,
  lengthOf,
  type Looking,
  type Query,
  type Selector,
  type Step,
} from "./steps.ts";

/** How deep filters and what is in brackets may nest. */
export const MAX_NESTING = 16;

/** A text is no path. */
export class NoPathError extends Error {}

/** What is compared, of a value; `undefined` is nothing. */
type Operand = (value: unknown, looking: Looking) => unknown;

const QUOTED = /'(?:[^'\\]|\\(?:['"/\\bfnrt]|u[0-9A-Fa-f]{4}))*'|"(?:[^"\\]|\\(?:['"/\\bfnrt]|u[0-9A-Fa-f]{4}))*"/y;
const INTEGER = /(?:0|-?[1-9][0-9]{0,14})(?![0-9])/y;
const SLICE =
  /(?:0|-?[1-9][0-9]{0,14})?\s*:\s*(?:(?:0|-?[1-9][0-9]{0,14})(?![0-9]))?\s*(?::\s*(?:(?:0|-?[1-9][0-9]{0,14})(?![0-9]))?)?/y;
const NUMBER = /-?(?:0|[1-9][0-9]*)(?:\.[0-9]+)?(?:[eE][+-]?[0-9]+)?(?![0-9])/y;
const NAME = /\*|[A-Za-z_\u{80}-\u{10ffff}][0-9A-Za-z_\u{80}-\u{10ffff}]*/uy;
const COMPARISON = /[ \t\n\r]*(?:==|!=|<=|>=|<|>)/y;

/** The steps of a path. Throws a `NoPathError` for what is none. */
export function stepsOf(path: string): Step[] {
  const text = path.trim();
  const rooted = text === "$" || text.startsWith("$.") || text.startsWith("$[");
  const reader = new Reader(rooted ? text.slice(1) : text);
  const steps: Step[] = [];
  while (!reader.ended) {
    const descends = rooted && reader.take(/\.\./y) !== undefined;
    if (reader.take(/\[/y) !== undefined) {
      steps.push({ selectors: reader.bracketed(MAX_NESTING), descends });
      continue;
    }
    // Names have dots between them, and only between them.
    if (!descends && (rooted || steps.length > 0)) reader.expect(/\./y);
    steps.push({ selectors: [named(reader.expect(/[^.[\]'"*]+|\*/y))], descends });
  }
  if (steps.length === 0 && !rooted) throw new NoPathError();
  return steps;
}

/** Reads a text from its beginning to its end. */
class Reader {
  readonly #text: string;
  #at = 0;

  constructor(text: string) {
    this.#text = text;
  }

  get ended(): boolean {
    return this.#at === this.#text.length;
  }

  /** What comes next, if it is that. */
  take(pattern: RegExp): string | undefined {
    pattern.lastIndex = this.#at;
    const [taken] = pattern.exec(this.#text) ?? [];
    this.#at += taken?.length ?? 0;
    return taken;
  }

  expect(pattern: RegExp): string {
    const taken = this.take(pattern);
    if (taken === undefined) throw new NoPathError();
    return taken;
  }

  /** Selectors with commas between them and `]`. Filters in it nest so deep. */
  bracketed(nesting: number): Selector[] {
    const selectors: Selector[] = [];
    do {
      this.take(/\s*/y);
      selectors.push(this.#selector(nesting));
      this.take(/\s*/y);
    } while (this.take(/,/y) !== undefined);
    this.expect(/\]/y);
    return selectors;
  }

  #selector(nesting: number): Selector {
    if (this.take(/\*/y) !== undefined) return undefined;
    if (this.take(/\?/y) !== undefined) return this.#filter(nesting);
    const name = this.take(QUOTED);
    if (name !== undefined) return unquoted(name);
    const places = this.take(SLICE);
    if (places === undefined) return Number(this.expect(INTEGER));
    const [start, end, step = 1] = places.split(":").map((part) => (part.trim() === "" ? undefined : Number(part)));
    return { start, end, step };
  }

  /** A logical expression (RFC 9535, 2.3.5.1). */
  #filter(nesting: number): Filter {
    if (nesting === 0) throw new NoPathError();
    const either: Filter[] = [];
    do either.push(this.#conjunction(nesting - 1));
    while (this.take(/[ \t\n\r]*\|\|/y) !== undefined);
    return (value, looking) => either.some((condition) => condition(value, looking));
  }

  #conjunction(nesting: number): Filter {
    const both: Filter[] = [];
    do both.push(this.#basic(nesting));
    while (this.take(/[ \t\n\r]*&&/y) !== undefined);
    return (value, looking) => both.every((condition) => condition(value, looking));
  }

  /** A test, a comparison, or an expression in parentheses. */
  #basic(nesting: number): Filter {
    const denied = this.take(/[ \t\n\r]*!/y) !== undefined;
    this.#blanks();
    let condition: Filter;
    if (this.take(/\(/y) !== undefined) {
      condition = this.#filter(nesting);
      this.expect(/[ \t\n\r]*\)/y);
    } else {
      const start = this.#at;
      const query = this.#query(nesting);
      if (denied && query === undefined) throw new NoPathError();
      if (query === undefined || (!denied && this.#compares())) {
        this.#at = start;
        return this.#comparison(nesting);
      }
      condition = (value, looking) => found(query, value, looking).length > 0;
    }
    return denied ? (value, looking) => !condition(value, looking) : condition;
  }

  #compares(): boolean {
    const start = this.#at;
    const taken = this.take(COMPARISON);
    this.#at = start;
    return taken !== undefined;
  }

  #comparison(nesting: number): Filter {
    const left = this.#comparable(nesting);
    const comparison = this.expect(COMPARISON).trim() as Comparison;
    this.#blanks();
    const right = this.#comparable(nesting);
    return (value, looking) => holds(left(value, looking), comparison, right(value, looking), looking);
  }

  /** A literal, a query for one value, or a function that gives a value. */
  #comparable(nesting: number): Operand {
    if (nesting === 0) throw new NoPathError();
    const query = this.#query(nesting - 1);
    if (query !== undefined) {
      if (!isSingular(query)) throw new NoPathError();
      return only(query);
    }
    const word = this.take(/[a-z]+/y);
    if (word !== undefined && !["null", "true", "false"].includes(word)) return this.#function(word, nesting - 1);
    const text = word === undefined ? this.take(QUOTED) : undefined;
    const literal: unknown =
      word !== undefined ? JSON.parse(word) : text !== undefined ? unquoted(text) : exact(this.expect(NUMBER));
    return () => literal;
  }

  /** RFC 9535, 2.4.4 to 2.4.8; no blank before the parenthesis. */
  #function(name: string, nesting: number): Operand {
    this.expect(/\([ \t\n\r]*/y);
    let operand: Operand;
    if (name === "length") {
      const of = this.#comparable(nesting);
      operand = (value, looking) => lengthOf(of(value, looking));
    } else {
      const query = this.#query(nesting);
      if (query === undefined || !["count", "value"].includes(name)) throw new NoPathError();
      operand = name === "value" ? only(query) : (value, looking) => found(query, value, looking).length;
    }
    this.expect(/[ \t\n\r]*\)/y);
    return operand;
  }

  /** A query from the value itself or from the whole. */
  #query(nesting: number): Query | undefined {
    const start = this.take(/[@$]/y);
    if (start === undefined) return undefined;
    const steps: Step[] = [];
    for (;;) {
      const dots = this.take(/[ \t\n\r]*\.\.?/y);
      const descends = dots?.endsWith("..") ?? false;
      const bracket =
        dots === undefined || descends ? this.take(dots === undefined ? /[ \t\n\r]*\[/y : /\[/y) : undefined;
      if (bracket !== undefined) steps.push({ selectors: this.bracketed(nesting), descends });
      else if (dots === undefined) return { absolute: start === "$", steps };
      else steps.push({ selectors: [named(this.expect(NAME))], descends });
    }
  }

  #blanks(): void {
    this.take(/[ \t\n\r]*/y);
  }
}

/** What a query finds, where that is one value. */
function only(query: Query): Operand {
  return (value, looking) => {
    const values = found(query, value, looking);
    return values.length === 1 ? values[0] : undefined;
  };
}

function named(name: string): Selector {
  return name === "*" ? undefined : name;
}

const ESCAPES: Readonly<Record<string, string>> = { b: "\b", f: "\f", n: "\n", r: "\r", t: "\t" };

/** A text in quotes. */
function unquoted(text: string): string {
  return text
    .slice(1, -1)
    .replaceAll(/\\(?:u([0-9A-Fa-f]{4})|(.))/g, (_, code: string | undefined, escaped = "") =>
      code === undefined
        ? (ESCAPES[escaped as string] ?? (escaped as string))
        : String.fromCharCode(parseInt(code, 16)),
    );
}

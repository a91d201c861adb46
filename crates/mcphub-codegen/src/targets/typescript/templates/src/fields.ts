/** The fields of a JSON answer that a caller asks for. */

import { ArgumentError } from "./request.ts";
import { isObject } from "./serialization.ts";

/** The most fields that one call asks for. */
export const MAX_FIELDS = 64;
/** The longest field, in bytes. */
export const MAX_LENGTH = 512;

/** What fields leave of a value. */
export interface Picked {
  value: unknown;
  /** The fields that the value does not have. */
  absent: string[];
}

/** In how many ways fields may lead to one place: one for each, and one for each step from `..` on. */
export const MAX_STATES = 128;

/** Some items of a list (RFC 9535, 2.3.4). */
interface Slice {
  start: number | undefined;
  end: number | undefined;
  step: number;
}

/** A name, the place of an item, the places of several, or (`undefined`) whatever there is. */
type Selector = string | number | Slice | undefined;

/** What a step of a field takes of a value. */
interface Step {
  selectors: readonly Selector[];
  /** Whether it takes them of everything below, too (`..`). */
  descends: boolean;
}

/** Which step of which field comes next. */
type State = readonly [field: number, step: number];

const QUOTED = String.raw`(?:'(?:[^'\\]|\\(?:['"/\\bfnrt]|u[0-9A-Fa-f]{4}))*'|"(?:[^"\\]|\\(?:['"/\\bfnrt]|u[0-9A-Fa-f]{4}))*")`;
const INTEGER = String.raw`(?:0|-?[1-9][0-9]{0,14})`;
const SLICE = String.raw`${INTEGER}?\s*:\s*${INTEGER}?\s*(?::\s*${INTEGER}?)?`;
const SELECTOR = String.raw`(?:${QUOTED}|\*|${SLICE}|${INTEGER})`;
const STEP = new RegExp(String.raw`(\.\.|\.)?(?:([^.[\]'"*]+|\*)|\[\s*(${SELECTOR}(?:\s*,\s*${SELECTOR})*)\s*\])`, "y");

/**
 * Fields of a JSON value: what they name stays, with what stands around it, and nothing else.
 *
 * A field is a path of names, `owner.name`. A name that meets a list is looked up in each of its items; `*` is every
 * member of an object or every item of a list. JSONPath (RFC 9535) is read but for filters:
 * `$.items[*]['id','name']`, `$.items[-1]`, `$.items[:10]`, `$..id`.
 */
export class Fields {
  readonly #fields: readonly { text: string; steps: readonly Step[] }[];

  /** Throws an `ArgumentError` for what is no field. */
  constructor(fields: readonly string[], argument = "fields") {
    if (fields.length < 1 || fields.length > MAX_FIELDS) {
      throw new ArgumentError(argument, `has 1 to ${MAX_FIELDS} fields`);
    }
    this.#fields = fields.map((text) => ({ text, steps: stepsOf(text, argument) }));
    if (this.#fields.reduce((ways, { steps }) => ways + waysOf(steps), 0) > MAX_STATES) {
      throw new ArgumentError(argument, `has more than ${MAX_STATES} steps from \`..\` on`);
    }
  }

  /** Those that a caller asks for; `undefined` for all. */
  static asked(fields: readonly string[] | undefined, argument?: string): Fields | undefined {
    return fields && new Fields(fields, argument);
  }

  /** What they leave of a value. */
  of(value: unknown): Picked {
    const found = new Set<number>();
    const left = this.#pick(
      value,
      this.#fields.map((_, field) => [field, 0]),
      found,
    );
    const absent = this.#fields.filter((_, field) => !found.has(field)).map(({ text }) => text);
    const nothing = Array.isArray(value) ? [] : isObject(value) ? {} : null;
    return { value: left === undefined ? nothing : left, absent };
  }

  /** `undefined` for what does not stay. */
  #pick(value: unknown, states: readonly State[], found: Set<number>): unknown {
    if (states.some(([field, step]) => this.#step(field, step) === undefined)) {
      const hasMore = Array.isArray(value) || isObject(value);
      for (const [field, step] of states) {
        if (hasMore || this.#step(field, step) === undefined) found.add(field);
      }
      return value;
    }
    // Of what is only looked through nothing stays but what it has.
    const looking = states.every(([field, step]) => this.#step(field, step)?.descends);
    if (Array.isArray(value)) {
      const items = value as unknown[];
      const left: unknown[] = [];
      for (const [place, item] of items.entries()) {
        const inner = this.#below(states, (selector) => hasItem(selector, place, items.length), true);
        const picked = inner.length === 0 ? undefined : this.#pick(item, inner, found);
        if (picked !== undefined) left.push(picked);
      }
      return looking && left.length === 0 ? undefined : left;
    }
    if (!isObject(value)) return undefined;
    const left: [string, unknown][] = [];
    for (const [name, member] of Object.entries(value)) {
      const inner = this.#below(states, (selector) => selector === undefined || selector === name, false);
      const picked = inner.length === 0 ? undefined : this.#pick(member, inner, found);
      if (picked !== undefined) left.push([name, picked]);
    }
    return looking && left.length === 0 ? undefined : Object.fromEntries(left);
  }

  /** Which step of which field comes next for what is in a value. */
  #below(states: readonly State[], takes: (selector: Selector) => boolean, inList: boolean): State[] {
    const inner = new Map<string, State>();
    for (const [field, at] of states) {
      const step = this.#step(field, at);
      if (!step) continue;
      const taken = step.selectors.some(takes);
      if (taken) inner.set(`${field} ${at + 1}`, [field, at + 1]);
      // A name looks into the items of a list as if there was none.
      const passes = inList && !taken && step.selectors.some((selector) => typeof selector === "string");
      if (step.descends || passes) inner.set(`${field} ${at}`, [field, at]);
    }
    return [...inner.values()];
  }

  #step(field: number, step: number): Step | undefined {
    return this.#fields[field]?.steps[step];
  }
}

function stepsOf(field: string, argument: string): Step[] {
  const text = field.trim();
  const rooted = text === "$" || text.startsWith("$.") || text.startsWith("$[");
  const rest = rooted ? text.slice(1) : text;
  const steps: Step[] = [];
  let at = 0;
  while (at < rest.length) {
    STEP.lastIndex = at;
    const found = STEP.exec(rest);
    if (!found) break;
    const [whole, dots, plain, bracketed] = found;
    // Names have dots between them, and only between them.
    const usual = plain !== undefined && (rooted || at > 0) ? "." : undefined;
    if (dots !== usual && !(rooted && dots === "..")) break;
    const selectors = bracketed?.match(new RegExp(SELECTOR, "g"))?.map(selectorOf);
    steps.push({ selectors: selectors ?? [plain === "*" ? undefined : plain], descends: dots === ".." });
    at += whole.length;
  }
  if (at < rest.length || (steps.length === 0 && !rooted) || Buffer.byteLength(field) > MAX_LENGTH) {
    const shown = `"${Array.from(field).slice(0, 80).join("")}"`;
    const how = "write names with dots between them, such as owner.name, or a JSONPath without filters";
    throw new ArgumentError(argument, `${shown} is no field; ${how}`);
  }
  return steps;
}

function waysOf(steps: readonly Step[]): number {
  const first = steps.findIndex((step) => step.descends);
  return first === -1 ? 1 : steps.length - first;
}

const ESCAPES: Readonly<Record<string, string>> = { b: "\b", f: "\f", n: "\n", r: "\r", t: "\t" };

function selectorOf(text: string): Selector {
  if (text === "*") return undefined;
  if (/^['"]/.test(text)) {
    return text
      .slice(1, -1)
      .replaceAll(/\\(?:u([0-9A-Fa-f]{4})|(.))/g, (_, code: string | undefined, escaped = "") =>
        code === undefined
          ? (ESCAPES[escaped as string] ?? (escaped as string))
          : String.fromCharCode(parseInt(code, 16)),
      );
  }
  if (!text.includes(":")) return Number(text);
  const [start, end, step = 1] = text.split(":").map((part) => (part.trim() === "" ? undefined : Number(part)));
  return { start, end, step };
}

/** Whether a selector takes an item of a list (RFC 9535, 2.3.3.2 and 2.3.4.2). */
function hasItem(selector: Selector, place: number, length: number): boolean {
  if (selector === undefined) return true;
  if (typeof selector === "string") return false;
  if (typeof selector === "number") return selector === place || selector === place - length;
  const { step } = selector;
  const bound = (given: number | undefined, usual: number, least: number, most: number): number => {
    const counted = given === undefined ? usual : given < 0 ? given + length : given;
    return Math.min(Math.max(counted, least), most);
  };
  if (step > 0) {
    const start = bound(selector.start, 0, 0, length);
    return place >= start && place < bound(selector.end, length, 0, length) && (place - start) % step === 0;
  }
  const start = bound(selector.start, length - 1, -1, length - 1);
  return step < 0 && place <= start && place > bound(selector.end, -1, -1, length - 1) && (start - place) % -step === 0;
}

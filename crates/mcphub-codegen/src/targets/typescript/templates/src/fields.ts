/** The fields of a JSON answer that a caller asks for. */

import { NoPathError, stepsOf } from "./paths.ts";
import { ArgumentError } from "./request.ts";
import { isObject } from "./serialization.ts";
import { Looking, partsOf, type Step, takes } from "./steps.ts";

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

/** Which step of which field comes next. */
type State = readonly [field: number, step: number];

/**
 * Fields of a JSON value: what they name stays, with what stands around it, and nothing else.
 *
 * A field is a path of names, `owner.name`. A name that meets a list is looked up in each of its items; `*` is every
 * member of an object or every item of a list. JSONPath (RFC 9535) is read as well: `$.items[*]['id','name']`,
 * `$.items[-1]`, `$.items[:10]`, `$..id`, `$.items[?@.open].id`; but for the functions `match` and `search`, which may
 * take very long.
 */
export class Fields {
  readonly #fields: readonly { text: string; steps: readonly Step[] }[];

  /** Throws an `ArgumentError` for what is no field. */
  constructor(fields: readonly string[], argument = "fields") {
    if (fields.length < 1 || fields.length > MAX_FIELDS) {
      throw new ArgumentError(argument, `has 1 to ${MAX_FIELDS} fields`);
    }
    this.#fields = fields.map((text) => ({ text, steps: read(text, argument) }));
    if (this.#fields.reduce((ways, { steps }) => ways + waysOf(steps), 0) > MAX_STATES) {
      throw new ArgumentError(argument, `has more than ${MAX_STATES} steps from \`..\` on`);
    }
  }

  /** Those that a caller asks for; `undefined` for all. */
  static asked(fields: readonly string[] | undefined, argument?: string): Fields | undefined {
    return fields && new Fields(fields, argument);
  }

  /** What they leave of a value. Throws a `TooMuchError` where filters look at too much. */
  of(value: unknown): Picked {
    const found = new Set<number>();
    const states = this.#fields.map((_, field) => [field, 0] as const);
    const left = this.#pick(value, states, found, new Looking(value));
    const absent = this.#fields.filter((_, field) => !found.has(field)).map(({ text }) => text);
    const nothing = Array.isArray(value) ? [] : isObject(value) ? {} : null;
    return { value: left === undefined ? nothing : left, absent };
  }

  /** `undefined` for what does not stay. */
  #pick(value: unknown, states: readonly State[], found: Set<number>, looking: Looking): unknown {
    const isList = Array.isArray(value);
    if (states.some(([field, step]) => this.#step(field, step) === undefined)) {
      const hasMore = isList || isObject(value);
      for (const [field, step] of states) {
        if (hasMore || this.#step(field, step) === undefined) found.add(field);
      }
      return value;
    }
    if (!isList && !isObject(value)) return undefined;
    const left: [string | number, unknown][] = [];
    const parts = partsOf(value);
    for (const [place, part] of parts) {
      const inner = this.#below(states, (step) => takes(step, place, parts.length, part, looking), isList);
      const picked = inner.length === 0 ? undefined : this.#pick(part, inner, found, looking);
      if (picked !== undefined) left.push([place, picked]);
    }
    // Of what is only looked through nothing stays but what it has.
    if (left.length === 0 && states.every(([field, step]) => this.#step(field, step)?.descends)) return undefined;
    return isList ? left.map(([, item]) => item) : Object.fromEntries(left);
  }

  /** Which step of which field comes next for what is in a value. */
  #below(states: readonly State[], takes: (step: Step) => boolean, inList: boolean): State[] {
    const inner = new Map<string, State>();
    for (const [field, at] of states) {
      const step = this.#step(field, at);
      if (!step) continue;
      const taken = takes(step);
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

function read(field: string, argument: string): Step[] {
  try {
    if (Buffer.byteLength(field) <= MAX_LENGTH) return stepsOf(field);
  } catch (error) {
    if (!(error instanceof NoPathError)) throw error;
  }
  const shown = `"${Array.from(field).slice(0, 80).join("")}"`;
  const how = "write names with dots between them, such as owner.name, or a JSONPath without match and search";
  throw new ArgumentError(argument, `${shown} is no field; ${how}`);
}

function waysOf(steps: readonly Step[]): number {
  const first = steps.findIndex((step) => step.descends);
  return first === -1 ? 1 : steps.length - first;
}

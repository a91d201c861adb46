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

/** The names that a step takes; none takes all. */
type Step = readonly string[];
/** Which step of which field comes next. */
type State = readonly [field: number, step: number];

const QUOTED = String.raw`'(?:[^'\\]|\\['"/\\])*'|"(?:[^"\\]|\\['"/\\])*"`;
const STEP = new RegExp(String.raw`\.?([^.[\]'"*]+|\*)|\[\s*(\*|(?:${QUOTED})(?:\s*,\s*(?:${QUOTED}))*)\s*\]`, "y");

/**
 * Fields of a JSON value: what they name stays, with what stands around it, and nothing else.
 *
 * A field is a path of names, `owner.name`. A name that meets a list is looked up in each of its items; `*` is every
 * member of an object or every item of a list. JSONPath (RFC 9535) is read as far as it says the same:
 * `$.items[*]['id','name']`.
 */
export class Fields {
  readonly #fields: readonly { text: string; steps: readonly Step[] }[];

  /** Throws an `ArgumentError` for what is no field. */
  constructor(fields: readonly string[], argument = "fields") {
    if (fields.length < 1 || fields.length > MAX_FIELDS) {
      throw new ArgumentError(argument, `has 1 to ${MAX_FIELDS} fields`);
    }
    this.#fields = fields.map((text) => ({ text, steps: stepsOf(text, argument) }));
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
    return { value: left ?? null, absent };
  }

  /** `undefined` for what does not stay. */
  #pick(value: unknown, states: readonly State[], found: Set<number>): unknown {
    if (states.some(([field, step]) => this.#step(field, step) === undefined)) {
      for (const [field] of states) found.add(field);
      return value;
    }
    if (Array.isArray(value)) {
      const inner = states.map(([field, step]): State => [
        field,
        this.#step(field, step)?.length === 0 ? step + 1 : step,
      ]);
      return value.map((item) => this.#pick(item, inner, found)).filter((item) => item !== undefined);
    }
    if (!isObject(value)) return undefined;
    const left: [string, unknown][] = [];
    for (const [name, member] of Object.entries(value)) {
      const taken = states.filter(([field, step]) => {
        const names = this.#step(field, step);
        return names?.length === 0 || names?.includes(name);
      });
      if (taken.length === 0) continue;
      const inner = this.#pick(
        member,
        taken.map(([field, step]): State => [field, step + 1]),
        found,
      );
      if (inner !== undefined) left.push([name, inner]);
    }
    return Object.fromEntries(left);
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
    const [whole, plain, quoted] = found;
    // Names have dots between them, and only between them.
    if (plain !== undefined && whole.startsWith(".") !== (rooted || at > 0)) break;
    const name = plain ?? quoted ?? "";
    steps.push(name === "*" ? [] : plain === undefined ? namesOf(name) : [name]);
    at += whole.length;
  }
  if (at < rest.length || (steps.length === 0 && !rooted) || Buffer.byteLength(field) > MAX_LENGTH) {
    const shown = `"${Array.from(field).slice(0, 80).join("")}"`;
    const how = "write names with dots between them, such as owner.name, or a JSONPath of names and wildcards";
    throw new ArgumentError(argument, `${shown} is no field; ${how}`);
  }
  return steps;
}

function namesOf(quoted: string): string[] {
  const names = quoted.match(new RegExp(QUOTED, "g")) ?? [];
  return names.map((name) => name.slice(1, -1).replaceAll(/\\(.)/g, "$1"));
}

/** Values are held against JSON Schema 2020-12. */

import { Validator, type Schema } from "@cfworker/json-schema";

import { approximate } from "./exact.ts";
import { MAX_PROBLEMS, describe } from "./problems.ts";

/** The longest array whose items are compared with each other: each with each, while all other calls wait. */
export const MAX_UNIQUE_ITEMS = 10_000;

/** A schema, ready to hold values against. Formats are not asserted, nothing is fetched, and no code is made of it. */
export class Check {
  readonly #schema: Schema;

  constructor(schema: object) {
    this.#schema = prepared(approximate(schema)) as Schema;
  }

  /** What is wrong with arguments: `ARGUMENT: what is expected`, at most 10; none when they fit. */
  problems(value: unknown): string[] {
    const lines = this.#lines(value, false) ?? ["a value nests too deeply to be checked"];
    return lines.length > MAX_PROBLEMS ? [...lines.slice(0, MAX_PROBLEMS - 1), "and more"] : lines;
  }

  /** The first of the problems. What nests too deeply to be checked passes. */
  firstProblem(value: unknown): string | undefined {
    return this.#lines(value, true)?.[0];
  }

  #lines(value: unknown, first: boolean): string[] | undefined {
    try {
      const plain = approximate(value);
      const { errors } = new Validator(this.#schema, "2020-12", first).validate(plain);
      return [...new Set(describe(errors, this.#schema, plain, !first))];
    } catch (error) {
      if (error instanceof RangeError) return undefined;
      throw error;
    }
  }
}

const DATA = ["const", "default", "enum", "examples", "required", "type", "dependentRequired"];
const BY_NAME = ["$defs", "properties", "dependentSchemas"];

/** The schema without what this program does not assert: formats, and patterns that JavaScript cannot read. */
function prepared(schema: unknown): unknown {
  if (Array.isArray(schema)) return schema.map(prepared);
  if (typeof schema !== "object" || schema === null) return schema;
  const kept = Object.entries(schema).flatMap(([keyword, value]: [string, unknown]): [string, unknown][] => {
    if (DATA.includes(keyword)) return [[keyword, value]];
    if (BY_NAME.includes(keyword)) return [[keyword, eachMember(value, prepared)]];
    if (keyword === "format" || (keyword === "pattern" && !isPattern(value))) return [];
    if (keyword === "patternProperties") return [[keyword, eachMember(value, prepared, isPattern)]];
    return [[keyword, prepared(value)]];
  });
  const result = Object.fromEntries(kept);
  if (result["uniqueItems"] === true)
    result["maxItems"] = Math.min(Number(result["maxItems"] ?? Infinity), MAX_UNIQUE_ITEMS);
  return result;
}

function eachMember(
  value: unknown,
  change: (member: unknown) => unknown,
  keep: (name: string) => boolean = () => true,
): unknown {
  if (typeof value !== "object" || value === null) return value;
  const members = Object.entries(value).filter(([name]) => keep(name));
  return Object.fromEntries(members.map(([name, member]) => [name, change(member)]));
}

function isPattern(text: unknown): boolean {
  try {
    new RegExp(String(text), "u");
    return true;
  } catch {
    return false;
  }
}

/**
 * What is wrong with a value, in words that a model can act on.
 *
 * No value of a call is ever repeated: it may be a secret, or long.
 */

import type { OutputUnit } from "@cfworker/json-schema";

import { jsonText } from "./serialization.ts";

/** The most problems that one answer lists. */
export const MAX_PROBLEMS = 10;
/** The longest text from a schema or a call that is repeated, in characters. */
export const MAX_SHOWN = 200;

const TYPES: Readonly<Record<string, string>> = {
  array: "an array",
  boolean: "true or false",
  integer: "an integer",
  null: "null",
  number: "a number",
  object: "an object",
  string: "a string",
};

/** Keywords that only say that something below them is wrong. */
const WRAPPERS = [
  "$ref",
  "additionalProperties",
  "allOf",
  "dependentSchemas",
  "if",
  "items",
  "patternProperties",
  "prefixItems",
  "properties",
  "propertyNames",
  "unevaluatedItems",
  "unevaluatedProperties",
];

/**
 * A line for each problem: `ARGUMENT: what is expected`. `ofArguments` says that the value is the arguments of a tool.
 */
export function describe(
  errors: readonly OutputUnit[],
  schema: unknown,
  value: unknown,
  ofArguments: boolean,
): string[] {
  const lines: string[] = [];
  for (let at = 0; at < errors.length;) {
    const error = errors[at];
    if (!error) break;
    at += 1;
    if (WRAPPERS.includes(error.keyword)) continue;
    // What is below an alternative comes after it. A `false` schema does not say where it stands.
    const below: OutputUnit[] = [];
    for (let next = errors[at]; next && isBelow(next, error); next = errors[at]) {
      below.push(next);
      at += 1;
    }
    const meant = ["anyOf", "oneOf"].includes(error.keyword)
      ? nearest(branches(error, below, schema), error)
      : undefined;
    lines.push(
      ...(meant ? describe(meant, schema, value, ofArguments) : own(error, below, schema, value, ofArguments)),
    );
  }
  return lines;
}

function isBelow(error: OutputUnit, parent: OutputUnit): boolean {
  const nested = `${parent.instanceLocation}/`;
  return (
    error.keywordLocation.startsWith(`${parent.keywordLocation}/`) ||
    (error.keyword === "false" &&
      error.instanceLocation.startsWith(nested) &&
      ["anyOf", "oneOf"].includes(parent.keyword))
  );
}

function own(
  error: OutputUnit,
  below: readonly OutputUnit[],
  schema: unknown,
  value: unknown,
  ofArguments: boolean,
): string[] {
  const names = namesOf(error.instanceLocation);
  if (error.keyword === "false" && names.length === 1 && ofArguments) {
    const [name = ""] = names;
    return [`${clip(name, 60)}: is not an argument of this tool${instead(name, known(schema))}`];
  }
  const path = pathOf(names, value);
  if (error.keyword === "required") {
    const instance = valueAt(value, names);
    const missing = strings(schemaAt(schema, error.keywordLocation)).filter((name) => !has(instance, name));
    return missing.map((name) => `${path ? `${path}.` : ""}${name}: is required`);
  }
  const expected = expectation(error, below, schema);
  return [path ? `${path}: ${expected}` : expected];
}

/** The errors of each alternative; none for one that fits. */
function branches(error: OutputUnit, below: readonly OutputUnit[], schema: unknown): OutputUnit[][] {
  const all = schemaAt(schema, error.keywordLocation);
  const found = Array.isArray(all) ? all.map((): OutputUnit[] => []) : [];
  let current = 0;
  for (const unit of below) {
    const place = unit.keywordLocation.slice(error.keywordLocation.length + 1);
    if (unit.keyword !== "false") current = Number.parseInt(place, 10);
    found[current]?.push(unit);
  }
  return found;
}

/** The alternative that was meant: the only one whose type the value has. */
function nearest(all: readonly OutputUnit[][], error: OutputUnit): OutputUnit[] | undefined {
  const meant = all.filter(
    (units) => !units.some((unit) => unit.keyword === "type" && unit.instanceLocation === error.instanceLocation),
  );
  return meant.length === 1 && meant[0]?.length ? meant[0] : undefined;
}

function expectation(error: OutputUnit, below: readonly OutputUnit[], schema: unknown): string {
  const limit = schemaAt(schema, error.keywordLocation);
  switch (error.keyword) {
    case "type":
      return `must be ${strings(limit)
        .map((kind) => TYPES[kind] ?? kind)
        .sort()
        .join(" or ")}`;
    case "enum":
      return `must be one of ${clip((Array.isArray(limit) ? limit : []).map(jsonText).join(", "))}`;
    case "const":
      return `must be ${clip(jsonText(limit))}`;
    case "minimum":
      return `must be at least ${String(limit)}`;
    case "maximum":
      return `must be at most ${String(limit)}`;
    case "exclusiveMinimum":
      return `must be more than ${String(limit)}`;
    case "exclusiveMaximum":
      return `must be less than ${String(limit)}`;
    case "multipleOf":
      return `must be a multiple of ${String(limit)}`;
    case "minLength":
    case "maxLength":
      return count(error.keyword, limit, "character");
    case "minItems":
    case "maxItems":
      return count(error.keyword, limit, "item");
    case "minProperties":
    case "maxProperties":
      return count(error.keyword, limit, "member");
    case "pattern":
      return `must match the pattern ${clip(String(limit))}`;
    case "uniqueItems":
      return "must not have the same item twice";
    case "not":
      return "must not be what the schema excludes";
    case "required":
      return `must have ${strings(limit)[0] ?? ""}`;
    case "false":
      return "is not possible here";
    case "anyOf":
    case "oneOf": {
      const all = branches(error, below, schema);
      if (all.some((units) => units.length === 0)) return "must fit exactly one of the alternatives, and fits more";
      const first = all.flatMap((units) => units.find((unit) => !WRAPPERS.includes(unit.keyword)) ?? []);
      return clip([...new Set(first.map((unit) => expectation(unit, [], schema)))].join(", or "));
    }
    default:
      return `does not fit the keyword ${error.keyword} of its schema`;
  }
}

function count(keyword: string, limit: unknown, noun: string): string {
  const most = keyword.startsWith("max") ? "most" : "least";
  return `must have at ${most} ${String(limit)} ${noun}${limit === 1 ? "" : "s"}`;
}

/** What to write in place of an unknown name. */
function instead(name: string, arguments_: readonly string[]): string {
  if (arguments_.length === 0) return "; it has none";
  const distances = arguments_.map((other): [string, number] => [other, distance(name.slice(0, 128), other)]);
  const [near, changes] = distances.reduce((best, next) => (next[1] < best[1] ? next : best));
  if (changes <= Math.max(1, Math.floor(near.length / 3))) return `; did you mean ${near}?`;
  return `; its arguments are ${clip(arguments_.join(", "))}`;
}

/** How many characters have to be put in, taken out or changed (Levenshtein), whatever their case. */
function distance(one: string, other: string): number {
  const target = Array.from(other.toLowerCase());
  let row = [0, ...target.map((_, at) => at + 1)];
  for (const [done, char] of Array.from(one.toLowerCase()).entries()) {
    const next = [done + 1];
    for (const [at, wanted] of target.entries()) {
      const changed = (row[at] ?? 0) + (char === wanted ? 0 : 1);
      next.push(Math.min(changed, (row[at + 1] ?? 0) + 1, (next[at] ?? 0) + 1));
    }
    row = next;
  }
  return row.at(-1) ?? 0;
}

/** The value of a keyword, by the place that the validator gives for it. */
function schemaAt(schema: unknown, location: string): unknown {
  let place = schema;
  for (const name of namesOf(location)) {
    place = member(place, name);
    if (name === "$ref" && typeof place === "string") place = valueAt(schema, namesOf(place));
  }
  return place;
}

function valueAt(value: unknown, names: readonly string[]): unknown {
  return names.reduce(member, value);
}

function member(value: unknown, name: string): unknown {
  return has(value, name) ? (value as Record<string, unknown>)[name] : undefined;
}

function has(value: unknown, name: string): boolean {
  return typeof value === "object" && value !== null && Object.hasOwn(value, name);
}

/** The parts of a JSON Pointer in a URI fragment (RFC 6901, 6). */
function namesOf(location: string): string[] {
  const parts = location.split("/").slice(1);
  return parts.map((part) => decodeURIComponent(part).replaceAll("~1", "/").replaceAll("~0", "~"));
}

/** `address.lines[0]`. */
function pathOf(names: readonly string[], value: unknown): string {
  let path = "";
  let place = value;
  for (const name of names) {
    if (Array.isArray(place)) path += `[${name}]`;
    else path += `${path && "."}${clip(name, 60)}`;
    place = member(place, name);
  }
  return clip(path);
}

function known(schema: unknown): string[] {
  const properties = member(schema, "properties");
  return typeof properties === "object" && properties !== null ? Object.keys(properties) : [];
}

function strings(value: unknown): string[] {
  return (Array.isArray(value) ? value : [value]).filter((item) => typeof item === "string");
}

function clip(text: string, limit = MAX_SHOWN): string {
  const characters = text.length > limit ? Array.from(text) : [];
  return characters.length > limit ? `${characters.slice(0, limit).join("")}…` : text;
}

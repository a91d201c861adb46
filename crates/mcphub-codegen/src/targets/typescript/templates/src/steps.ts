/** What the steps of a path take of a JSON value (RFC 9535, 2.3 to 2.5). */

import { isExact } from "./exact.ts";
import { isObject } from "./serialization.ts";

/** At how many values the filters of all fields look together. */
export const MAX_LOOKS = 1_000_000;
/** How deep they look. */
export const MAX_DEPTH = 128;

/** Filters look at too much; the message says at what. */
export class TooMuchError extends Error {}

/** Some items of a list (RFC 9535, 2.3.4). */
export interface Slice {
  start: number | undefined;
  end: number | undefined;
  step: number;
}

/** A condition. */
export type Filter = (value: unknown, looking: Looking) => boolean;

/** A name, the place of an item, the places of several, a condition, or (`undefined`) whatever there is. */
export type Selector = string | number | Slice | Filter | undefined;

/** What a step of a path takes of a value. */
export interface Step {
  selectors: readonly Selector[];
  /** Whether it takes them of everything below, too (`..`). */
  descends: boolean;
}

/** A path in a filter, whose names do not look into lists. */
export interface Query {
  /** Whether it begins at the whole rather than at what is filtered. */
  absolute: boolean;
  steps: readonly Step[];
}

/** How two values compare. */
export type Comparison = "==" | "!=" | "<" | "<=" | ">" | ">=";

/** What filters have in common over one value. */
export class Looking {
  readonly whole: unknown;
  #left = MAX_LOOKS;

  constructor(whole: unknown) {
    this.whole = whole;
  }

  /** Counts the values that are looked at. */
  look(count = 1): void {
    this.#left -= count;
    if (this.#left < 0) throw new TooMuchError(`the filters look at more than ${MAX_LOOKS} values`);
  }
}

/** Whether a step takes what is in an object, or in a list of that length. */
export function takes(step: Step, place: string | number, length: number, part: unknown, looking: Looking): boolean {
  return step.selectors.some((selector) => selects(selector, place, length, part, looking));
}

/** The members of an object or the items of a list, with their places. */
export function partsOf(value: unknown): [string | number, unknown][] {
  if (Array.isArray(value)) return [...(value as unknown[]).entries()];
  return isObject(value) && !isExact(value) ? Object.entries(value) : [];
}

/** Whether a query finds one value at most, whatever it looks at. */
export function isSingular({ steps }: Query): boolean {
  return steps.every(
    ({ selectors, descends }) =>
      !descends && selectors.length === 1 && ["string", "number"].includes(typeof selectors[0]),
  );
}

/** The values that a query finds. */
export function found({ absolute, steps }: Query, value: unknown, looking: Looking): unknown[] {
  let here = [absolute ? looking.whole : value];
  for (const step of steps) {
    const next: unknown[] = [];
    for (const each of here) select(step, each, looking, next, MAX_DEPTH);
    here = next;
  }
  return here;
}

/** How many characters, items or members; `undefined` for what has none. */
export function lengthOf(value: unknown): number | undefined {
  if (typeof value === "string") return Array.from(value).length;
  return Array.isArray(value) || (isObject(value) && !isExact(value)) ? partsOf(value).length : undefined;
}

/** Whether two values compare so (RFC 9535, 2.3.5.2.2); `undefined` is nothing. */
export function holds(one: unknown, comparison: Comparison, two: unknown, looking: Looking): boolean {
  const order = orderOf(one, two, looking);
  switch (comparison) {
    case "==":
      return order === 0;
    case "!=":
      return order !== 0;
    case "<":
      return order === -1;
    case "<=":
      return order === -1 || order === 0;
    case ">":
      return order === 1;
    case ">=":
      return order === 1 || order === 0;
  }
}

function orderOf(one: unknown, two: unknown, looking: Looking): number | undefined {
  const [left, right] = [numberOf(one), numberOf(two)];
  if (left !== undefined && right !== undefined) return numbers(left, right);
  if (typeof one === "string" && typeof two === "string") return texts(one, two);
  return same(one, two, looking, MAX_DEPTH) ? 0 : undefined;
}

function same(one: unknown, two: unknown, looking: Looking, depth: number): boolean {
  if (depth === 0) throw new TooMuchError(`the filters look deeper than ${MAX_DEPTH} levels`);
  const [left, right] = [numberOf(one), numberOf(two)];
  if (left !== undefined && right !== undefined) return numbers(left, right) === 0;
  const [inner, others] = [partsOf(one), partsOf(two)];
  if (Array.isArray(one) && Array.isArray(two) && one.length === two.length) {
    looking.look(inner.length);
    return inner.every(([, item], at) => same(item, others[at]?.[1], looking, depth - 1));
  }
  const areObjects = isObject(one) && isObject(two) && left === undefined && right === undefined;
  if (areObjects && inner.length === others.length && inner.every(([name]) => Object.hasOwn(two, name))) {
    looking.look(inner.length);
    const members = new Map(others);
    return inner.every(([name, member]) => same(member, members.get(name), looking, depth - 1));
  }
  return one === two;
}

/** Integers of 64 bits are exact, other numbers the nearest double; `undefined` for what is no number. */
function numberOf(value: unknown): bigint | number | undefined {
  const text = isExact(value) ? value.rawJSON : typeof value === "number" ? String(value) : undefined;
  if (text === undefined || !/^-?\d+$/.test(text)) return text === undefined ? undefined : Number(text);
  const integer = BigInt(text);
  return integer >= -(2n ** 63n) && integer < 2n ** 64n ? integer : Number(text);
}

function numbers(one: bigint | number, two: bigint | number): number {
  const [left, right] = typeof one === typeof two ? [one, two] : [Number(one), Number(two)];
  return left < right ? -1 : left > right ? 1 : 0;
}

/** By characters, not by halves of them. */
function texts(one: string, two: string): number {
  const others = two[Symbol.iterator]();
  for (const letter of one) {
    const other = others.next();
    if (other.done === true) return 1;
    const difference = (letter.codePointAt(0) ?? 0) - (other.value.codePointAt(0) ?? 0);
    if (difference !== 0) return Math.sign(difference);
  }
  return others.next().done === true ? 0 : -1;
}

function select(step: Step, value: unknown, looking: Looking, result: unknown[], depth: number): void {
  if (depth === 0) throw new TooMuchError(`the filters look deeper than ${MAX_DEPTH} levels`);
  const parts = partsOf(value);
  for (const [place, part] of parts) {
    looking.look();
    for (const selector of step.selectors) {
      if (!selects(selector, place, parts.length, part, looking)) continue;
      looking.look();
      result.push(part);
    }
    if (step.descends) select(step, part, looking, result, depth - 1);
  }
}

/** RFC 9535, 2.3.3.2 and 2.3.4.2. */
function selects(selector: Selector, place: string | number, length: number, part: unknown, looking: Looking): boolean {
  if (selector === undefined) return true;
  if (typeof selector === "string") return selector === place;
  if (typeof selector === "function") return selector(part, looking);
  if (typeof place === "string") return false;
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

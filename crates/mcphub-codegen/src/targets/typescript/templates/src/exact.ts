/**
 * JSON whose numbers stay exact.
 *
 * A JavaScript number holds 53 bits and does not tell `1` from `1.0`, and an API may use all 64 bits for an id. So a
 * number that JavaScript would write otherwise is kept as its text, which `JSON.stringify` writes as it is (ECMAScript
 * proposal "JSON.parse source text access").
 */

import { deserializeMessage, isJSONRPCRequest, type JSONRPCMessage } from "@modelcontextprotocol/server";

/** The text of a number. */
export interface ExactNumber {
  readonly rawJSON: string;
}

/** A number of any size and precision. */
export type Numeric = number | ExactNumber;

// Not yet in TypeScript's library.
interface ExactJson {
  rawJSON(text: string): ExactNumber;
  isRawJSON(value: unknown): value is ExactNumber;
  parse(text: string, reviver: (key: string, value: unknown, context: { source?: string }) => unknown): unknown;
}
const exactJson = JSON as unknown as ExactJson;

const NUMBER = /^-?(?:0|[1-9]\d*)(?:\.\d+)?(?:[eE][+-]?\d+)?$/;
// What no exact number is without; a string may have it too.
const SUSPECT = /\d[.eE]|\d{16}|-0/;

/** A number by its text, such as `12345678901234567890`. Throws a `SyntaxError` for any other text. */
export function exact(text: string): Numeric {
  if (!NUMBER.test(text)) throw new SyntaxError("not a JSON number");
  return String(Number(text)) === text ? Number(text) : exactJson.rawJSON(text);
}

/** Whether a value is a number that is kept as text. */
export function isExact(value: unknown): value is ExactNumber {
  return exactJson.isRawJSON(value);
}

/** Reads JSON. Throws a `SyntaxError` for what is none, and a `RangeError` for what nests too deeply. */
export function parseExact(text: string): unknown {
  if (!SUSPECT.test(text)) return JSON.parse(text);
  return exactJson.parse(text, (_, value, { source }) =>
    typeof value === "number" && source !== undefined && source !== String(value) ? exactJson.rawJSON(source) : value,
  );
}

/** The value with the nearest JavaScript number for each exact one. */
export function approximate(value: unknown): unknown {
  if (isExact(value)) return Number(value.rawJSON);
  if (Array.isArray(value)) return value.map(approximate);
  if (typeof value !== "object" || value === null) return value;
  return Object.fromEntries(Object.entries(value).map(([name, member]) => [name, approximate(member)]));
}

/** Reads an MCP message in which the arguments of a tool are exact. Throws for what is none. */
export function readMessage(text: string): JSONRPCMessage {
  const message = deserializeMessage(text);
  if (!isJSONRPCRequest(message) || message.method !== "tools/call" || !SUSPECT.test(text)) return message;
  const { params } = parseExact(text) as { params?: { arguments?: unknown } };
  return { ...message, params: { ...message.params, arguments: params?.arguments } };
}

/** The answer of the API becomes a tool result that a model can act on. */

import { STATUS_CODES } from "node:http";
import type { CallToolResult, ContentBlock } from "@modelcontextprotocol/server";

import { isExact, parseExact } from "./exact.ts";
import { isJson } from "./serialization.ts";

/** How a JSON answer becomes `structuredContent`: not at all, as it is, or as `{"result": ...}`. */
export type Output = "none" | "object" | "wrapped";

/** What the API answered. */
export interface Answer {
  status: number;
  contentType: string;
  retryAfter: string | undefined;
  link?: string | undefined;
  body: Uint8Array;
  /** That the body is a piece of the answer: one line for the model. */
  note?: string;
}

/** The most of an error's body that is shown to the model, in bytes. */
export const MAX_ERROR_BODY = 16 * 1024;

/** A longer answer, in bytes, is not there twice, as text and as structure. */
export const MAX_TWICE = 64 * 1024;

/** How much of it the text shows then, in bytes. */
const SHOWN = 1024;

const MAX_DEPTH = 128;
const TEXT_TYPES = [
  "",
  "application/xml",
  "application/yaml",
  "application/javascript",
  "application/x-ndjson",
  "application/ndjson",
  "application/jsonl",
  "application/x-jsonlines",
  "application/json-seq",
];
const NO_BYTES = new Uint8Array();

/** What a tool gives back. */
export class ToolResult {
  /** For the model. */
  readonly content: ContentBlock[];
  /** The answer as an object, where the API describes one. Its numbers are exact (`exact.ts`). */
  readonly structured: Record<string, unknown> | undefined;
  /** Whether the call failed. */
  readonly isError: boolean;
  /** What the API answered, if it did. */
  readonly answer: Answer;

  private constructor(
    content: ContentBlock[],
    structured: Record<string, unknown> | undefined,
    isError: boolean,
    answer: Answer = { status: 0, contentType: "", retryAfter: undefined, body: NO_BYTES },
  ) {
    this.content = content;
    this.structured = structured;
    this.isError = isError;
    this.answer = answer;
  }

  /** A failure that the model can read and act on. */
  static error(text: string): ToolResult {
    return new ToolResult([{ type: "text", text }], undefined, true);
  }

  /** A call with arguments that do not fit the tool; one line for each problem. */
  static invalidArguments(tool: string, problems: readonly string[]): ToolResult {
    return ToolResult.error(`Invalid arguments for ${tool}:${problems.map((problem) => `\n- ${problem}`).join("")}`);
  }

  /**
   * The result of a call that was answered.
   *
   * - A status outside 2xx is an error with status, reason and body, cut at 16 KiB.
   * - JSON and text come as they were sent; images and audio as their content types; other bytes as an embedded
   *   resource with `uri`.
   * - With an output, JSON also becomes `structured`. `null` and an empty answer become `{}` or `{"result": null}`. An
   *   answer of another shape is returned whole and flagged, and so is a piece of one.
   */
  static fromAnswer(answer: Answer, output: Output, uri: string): ToolResult {
    if (answer.status < 200 || answer.status > 299) return ToolResult.error(errorText(answer));
    const essence = (answer.contentType.split(";", 1)[0] ?? "").trim().toLowerCase();
    const result = new ToolResult([contentOf(answer, essence, uri)], undefined, false, answer);
    if (output === "none") return result;
    if (answer.note !== undefined) return result.mismatched("that is too long for one result");
    try {
      const value = isJson(essence) && answer.body.length > 0 ? readJson(answer.body) : null;
      return new ToolResult(result.content, structuredOf(value, output), false, answer);
    } catch (error) {
      if (!(error instanceof Mismatch)) throw error;
      return result.mismatched(error.message);
    }
  }

  /** The result with more lines for the model. */
  noted(notes: readonly string[]): ToolResult {
    const more = notes.map((text) => ({ type: "text" as const, text }));
    return new ToolResult([...this.content, ...more], this.structured, this.isError, this.answer);
  }

  /** The result of an answer that is not as promised: whole, after a text that says why, and flagged. */
  mismatched(why: string): ToolResult {
    const text = `The API answered ${this.answer.status}, but ${why}. Its answer:`;
    return new ToolResult([{ type: "text", text }, ...this.content], undefined, true, this.answer);
  }

  /** The result as MCP has it, a large answer once. */
  toMcp(): CallToolResult {
    // What stands in for an answer that is no JSON has nothing of it.
    const isAbsent = ([name, value]: [string, unknown]): boolean => name === "result" && value === null;
    const whole = this.structured && !Object.entries(this.structured).every(isAbsent);
    return {
      content: whole ? this.content.map(once) : this.content,
      ...(this.structured && { structuredContent: this.structured }),
      ...(this.isError && { isError: true }),
    };
  }
}

/** An answer is not what the document promises. */
class Mismatch extends Error {}

/** The beginning of a long text whose whole is in the structure. */
function once(content: ContentBlock): ContentBlock {
  if (content.type !== "text") return content;
  const whole = Buffer.from(content.text);
  if (whole.length <= MAX_TWICE) return content;
  let end = SHOWN;
  // UTF-8 goes on in bytes that begin with the bits 10.
  while (((whole[end] ?? 0) & 0xc0) === 0x80) end -= 1;
  const shown = whole.subarray(0, end).toString();
  const note = `[cut: ${end} of ${whole.length} bytes shown; \`structuredContent\` has all of them]`;
  return { ...content, text: `${shown}\n${note}` };
}

function contentOf(answer: Answer, essence: string, uri: string): ContentBlock {
  if (answer.body.length === 0) return { type: "text", text: statusLine(answer.status) };
  if (isText(essence)) {
    const text = decoded(answer.body, true);
    // Otherwise it is no text after all, and goes as bytes.
    if (text !== undefined) return { type: "text", text };
  }
  const data = Buffer.from(answer.body).toString("base64");
  const mimeType = essence || "application/octet-stream";
  const whole = answer.note === undefined;
  if (whole && essence.startsWith("image/")) return { type: "image", data, mimeType };
  if (whole && essence.startsWith("audio/")) return { type: "audio", data, mimeType };
  return { type: "resource", resource: { uri, mimeType, blob: data } };
}

/** Whether answers of a kind are text that a model can read. */
export function isText(contentType: string): boolean {
  const essence = (contentType.split(";", 1)[0] ?? "").trim().toLowerCase();
  return isJson(essence) || essence.startsWith("text/") || essence.endsWith("+xml") || TEXT_TYPES.includes(essence);
}

function structuredOf(value: unknown, output: Output): Record<string, unknown> {
  if (output === "wrapped") return { result: value };
  if (value === null) return {};
  if (typeof value !== "object" || Array.isArray(value) || isExact(value)) {
    throw new Mismatch("its document promises a JSON object");
  }
  return value as Record<string, unknown>;
}

/** Reads JSON with exact numbers. Throws for what is none; the message completes "The API answered 200, but ...". */
export function readJson(body: Uint8Array): unknown {
  const text = decoded(body, false);
  if (text === undefined) throw new Mismatch("it is not UTF-8");
  let value: unknown;
  try {
    value = parseExact(text);
  } catch {
    throw new Mismatch("it is not valid JSON");
  }
  if (!isShallow(value)) throw new Mismatch(`its JSON nests deeper than ${MAX_DEPTH} levels`);
  return value;
}

/** UTF-8 as text; `undefined` for bytes that are none. */
function decoded(body: Uint8Array, keepMark: boolean): string | undefined {
  try {
    return new TextDecoder("utf-8", { fatal: true, ignoreBOM: keepMark }).decode(body);
  } catch {
    return undefined;
  }
}

function isShallow(value: unknown): boolean {
  let level: unknown[] = [value];
  for (let depth = 0; depth <= MAX_DEPTH; depth += 1) {
    level = level.flatMap((item): unknown[] =>
      typeof item === "object" && item !== null && !isExact(item) ? Object.values(item) : [],
    );
    if (level.length === 0) return true;
  }
  return false;
}

/** What is told of an answer that is no success. */
export function errorText(answer: Answer): string {
  let text = statusLine(answer.status);
  if (answer.retryAfter !== undefined) text += ` (Retry-After: ${answer.retryAfter})`;
  if (answer.body.length === 0) return text;
  text += `\n${new TextDecoder("utf-8", { ignoreBOM: true }).decode(answer.body.subarray(0, MAX_ERROR_BODY))}`;
  if (answer.body.length > MAX_ERROR_BODY) {
    text += `\n[cut: ${MAX_ERROR_BODY} of ${answer.body.length} bytes shown]`;
  }
  return text;
}

// Names of RFC 9110 where Node's own are older.
const REASONS: Readonly<Record<number, string>> = { 413: "Content Too Large", 422: "Unprocessable Content" };

function statusLine(status: number): string {
  return `HTTP ${status} ${REASONS[status] ?? STATUS_CODES[status] ?? ""}`.trimEnd();
}

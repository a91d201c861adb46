/**
 * Streams of the API: server-sent events and lines of JSON.
 *
 * They may go on for longer than a call. Who asks for progress hears of each event or line while it comes; the result
 * has all that came in time.
 */

import { causeOf } from "./cause.ts";
import type { Piece } from "./rest.ts";

/** As much of a line or an event as is told, in bytes. */
export const MAX_TOLD = 4 * 1024;

/** What is told apart: server-sent events (HTML, 9.2), or lines that stand for themselves. */
export type Kind = "events" | "lines";

/** Tells somebody what came. */
export type Tell = (message: string) => Promise<void>;

const LINES = [
  "application/x-ndjson",
  "application/ndjson",
  "application/jsonl",
  "application/x-jsonlines",
  "application/json-seq",
];
const NEWLINE = 10;

/** The kind of a media type; `undefined` for what is no stream. */
export function kindOf(contentType: string): Kind | undefined {
  const essence = (contentType.split(";", 1)[0] ?? "").trim().toLowerCase();
  if (essence === "text/event-stream") return "events";
  return LINES.includes(essence) ? "lines" : undefined;
}

/** What a stream may take, and who hears of it. */
export interface StreamOptions {
  tell: Tell | undefined;
  /** The time for the call, in seconds; whoever sent the request ends the stream then. */
  timeout: number;
  /** How many bytes are read. */
  most: number;
}

/** A stream while it is read. It ends early where it would be too much or too late. */
export class Stream {
  readonly #told: Told;
  readonly #options: StreamOptions;
  #why: string | undefined;

  constructor(kind: Kind, options: StreamOptions) {
    this.#told = new Told(kind);
    this.#options = options;
  }

  /** The bytes as they come. */
  async *read(chunks: AsyncIterable<Uint8Array> | Iterable<Uint8Array>): AsyncGenerator<Uint8Array> {
    const { tell, timeout, most } = this.#options;
    let size = 0;
    try {
      for await (const chunk of chunks) {
        size += chunk.length;
        if (tell) for (const message of this.#told.take(chunk)) await tell(message);
        if (size > most) {
          this.#why = `is over ${most >> 20} MiB`;
          yield chunk.subarray(0, chunk.length - (size - most));
          return;
        }
        yield chunk;
      }
    } catch (error) {
      const cause = causeOf(error);
      this.#why = cause.name === "TimeoutError" ? `went on after ${timeout} s` : `broke off: ${cause.message}`;
    }
  }

  /** What was read of it: all, or whole lines with a line for the model that says why. */
  cut(piece: Piece): Piece {
    if (this.#why === undefined) return piece;
    const body = piece.body.subarray(0, piece.body.lastIndexOf(NEWLINE) + 1);
    return { body, note: `[cut: the stream ${this.#why}; ${body.length} bytes of it are given]` };
  }
}

/** What was told of a stream. */
class Told {
  readonly #kind: Kind;
  #line: Buffer = Buffer.alloc(0);
  #event: string[] = [];
  #size = 0;

  constructor(kind: Kind) {
    this.#kind = kind;
  }

  /** What ended with these bytes. */
  take(chunk: Uint8Array): string[] {
    const told: string[] = [];
    let start = 0;
    for (let end = chunk.indexOf(NEWLINE); end !== -1; end = chunk.indexOf(NEWLINE, start)) {
      this.#add(chunk.subarray(start, end));
      const line = this.#line.toString().replace(/\r$/, "");
      this.#line = Buffer.alloc(0);
      const message = this.#kind === "lines" ? ofLine(line) : this.#events(line);
      if (message !== undefined && message !== "") told.push(short(message));
      start = end + 1;
    }
    this.#add(chunk.subarray(start));
    return told;
  }

  #add(part: Uint8Array): void {
    // A little more than is told, which shows that it was cut.
    this.#line = Buffer.concat([this.#line, part.subarray(0, MAX_TOLD + 64 - this.#line.length)]);
  }

  #events(line: string): string | undefined {
    if (line !== "") {
      const [, field, value = ""] = /^([^:]*):? ?(.*)$/s.exec(line) ?? [];
      if (field === "data" && this.#size <= MAX_TOLD) {
        this.#event.push(value);
        this.#size += value.length + 1;
      }
      return undefined;
    }
    const event = this.#event.join("\n");
    this.#event = [];
    this.#size = 0;
    return event;
  }
}

/** RFC 7464, 2.2: a text sequence has a separator before each text. */
function ofLine(line: string): string {
  return line.replace(/^\u001e+/, "");
}

function short(message: string): string {
  const bytes = Buffer.from(message);
  if (bytes.length <= MAX_TOLD) return message;
  let end = MAX_TOLD;
  // UTF-8 goes on in bytes that begin with the bits 10.
  while (((bytes[end] ?? 0) & 0xc0) === 0x80) end -= 1;
  return `${bytes.subarray(0, end).toString()}…`;
}

/**
 * The rest of an answer that is too long for one result.
 *
 * Nothing is kept for it. A piece of an answer names the place where the next one begins; the same call with that place
 * makes the request again, and passes over what was given before, held against its digest.
 */

import { createHash } from "node:crypto";

import { ArgumentError } from "./request.ts";

const PLACE = /^([0-9]{1,15})\.([A-Za-z0-9_-]{22})$/;
const BEGINNING = "0";
const DIGEST = 16;

/** What was read of an answer. */
export interface Piece {
  body: Buffer;
  /** One line for the model where it is not all of it. */
  note?: string;
}

/** Where an answer begins that a call asks for. */
export class Rest {
  /** The tool's argument for it. */
  readonly argument: string;
  /** How many bytes were given before. */
  readonly offset: number;
  readonly #digest: string;

  private constructor(argument: string, offset: number, digest: string) {
    this.argument = argument;
    this.offset = offset;
    this.#digest = digest;
  }

  /** The place that an argument has; the beginning without it. Throws an `ArgumentError` for what no answer named. */
  static asked(place: string | undefined, argument = "rest"): Rest {
    if (place === undefined || place === BEGINNING) return new Rest(argument, 0, "");
    const [, offset, digest] = PLACE.exec(place) ?? [];
    if (offset === undefined || digest === undefined) {
      throw new ArgumentError(argument, "is none that an answer named; ask anew without it, from the beginning");
    }
    return new Rest(argument, Number(offset), digest);
  }

  /** The bytes from the place on, at most so many. `undefined` where the answer is not what it was. */
  async read(
    chunks: AsyncIterable<Uint8Array> | Iterable<Uint8Array>,
    most: number,
    length: number | undefined,
    isText: boolean,
  ): Promise<Piece | undefined> {
    const before = createHash("sha256");
    const read: Uint8Array[] = [];
    let left = this.offset;
    let size = 0;
    for await (const chunk of chunks) {
      const passed = Math.min(left, chunk.length);
      before.update(chunk.subarray(0, passed));
      left -= passed;
      read.push(chunk.subarray(passed));
      size += chunk.length - passed;
      if (size > most) break;
    }
    if (left > 0 || (this.offset > 0 && digestOf(before) !== this.#digest)) return undefined;
    let body = Buffer.concat(read);
    if (size <= most) {
      const end = this.offset + size;
      const note = `[bytes ${this.offset} to ${end} of ${end} are given: this is the end]`;
      return this.offset > 0 ? { body, note } : { body };
    }
    body = body.subarray(0, isText ? wholeCharacters(body, most) : most);
    const end = this.offset + body.length;
    const given = `bytes ${this.offset} to ${end} of ${length ?? "more"} are given`;
    const how = `for the rest call again with the same arguments and ${this.argument}=`;
    return { body, note: `[cut: ${given}; ${how}${end}.${digestOf(before.update(body))}]` };
  }
}

function digestOf(hash: ReturnType<typeof createHash>): string {
  return hash.copy().digest().subarray(0, DIGEST).toString("base64url");
}

/** How many of the first bytes a text has without a character that is cut at their end. */
function wholeCharacters(text: Buffer, most: number): number {
  let end = most;
  // UTF-8 goes on in bytes that begin with the bits 10, at most three of them.
  while (end > most - 3 && ((text[end] ?? 0) & 0xc0) === 0x80) end -= 1;
  return ((text[end] ?? 0) & 0xc0) === 0x80 ? most : end;
}

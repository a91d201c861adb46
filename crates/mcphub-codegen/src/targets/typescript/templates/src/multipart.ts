/** Bodies of parts (RFC 7578; RFC 2046, 5.1), and bytes in base64. */

import { createHash } from "node:crypto";

import {
  ValueError,
  hasControl,
  isJson,
  isObject,
  jsonText,
  pairs,
  plain,
  scalar,
  type Style,
} from "./serialization.ts";

const ANY_FILE = "application/octet-stream";

/** How a part is written. */
export interface PartOptions {
  /** Whether the value is a file: its bytes in base64, or an object with these as `data`. */
  file?: boolean;
  /** The media type that the part states. */
  mediaType?: string;
  /** Makes the value text, as in a URL but for the escapes. */
  style?: Style;
  /** With a style. Default: true. */
  explode?: boolean;
}

/** One part of a body. */
export interface Part {
  /** The value of `Content-Disposition`. */
  disposition: string | undefined;
  mediaType: string | undefined;
  headers: [name: string, value: string][];
  content: string | Uint8Array;
}

/** The bytes of a text in base64 (RFC 4648, 4); padding may be left out. Throws a `ValueError` for other values. */
export function base64Bytes(value: unknown): Uint8Array {
  const text = typeof value === "string" ? value.replace(/[\t\n\f\r ]/g, "").replace(/=+$/, "") : undefined;
  if (text === undefined || !/^[A-Za-z0-9+/]*$/.test(text) || text.length % 4 === 1) {
    throw new ValueError("must be the bytes in base64 (RFC 4648, 4)");
  }
  return Buffer.from(text, "base64");
}

/** The parts of a body so far. */
export class Multipart {
  readonly #parts: Part[] = [];

  /**
   * Adds a value: text, an object as JSON, an array as one part for each item, nothing for `null`. Returns the parts.
   *
   * A file may be an object with `data`, and `filename` and `contentType` where they matter.
   */
  add(name: string, value: unknown, options: PartOptions = {}): Part[] {
    const before = this.#parts.length;
    const json = options.mediaType !== undefined && isJson(options.mediaType);
    if (options.style !== undefined) {
      const fields = pairs(name, value, options.style, options.explode ?? true, plain);
      for (const [key, content] of fields) this.#parts.push(part(content, undefined, field(key)));
    } else if (Array.isArray(value) && !json) {
      for (const item of value) if (item !== null) this.#parts.push(partOf(name, item, options));
    } else if (value !== null || json) {
      this.#parts.push(partOf(name, value, options));
    }
    return this.#parts.slice(before);
  }

  /** Adds an item of an array, which has no name; `null` is left out, but for JSON. Returns the part. */
  item(value: unknown, options: PartOptions = {}): Part[] {
    if (value === null && !(options.mediaType !== undefined && isJson(options.mediaType))) return [];
    const added = partOf(undefined, value, options);
    this.#parts.push(added);
    return [added];
  }

  /**
   * The media type with the boundary, and the body.
   *
   * The boundary is made of a digest of the parts, which no part can hold, so that the same arguments are the same
   * bytes.
   */
  finish(mediaType: string): { mediaType: string; body: Uint8Array } {
    const digest = createHash("sha256");
    for (const part of this.#parts) digest.update(headOf(part)).update(part.content);
    const boundary = digest.digest("hex").slice(0, 32);
    const chunks = this.#parts.flatMap((part) => [`--${boundary}\r\n${headOf(part)}\r\n`, part.content, "\r\n"]);
    // RFC 2387, 3.1: what is related says what its root is.
    const root = quoted(this.#parts[0]?.mediaType ?? "text/plain");
    const related = mediaType === "multipart/related" ? `; type="${root}"` : "";
    return {
      mediaType: `${mediaType}${related}; boundary=${boundary}`,
      body: Buffer.concat([...chunks, `--${boundary}--\r\n`].map((chunk) => Buffer.from(chunk))),
    };
  }
}

function part(content: string | Uint8Array, mediaType: string | undefined, disposition: string | undefined): Part {
  return { content, mediaType, disposition, headers: [] };
}

function partOf(name: string | undefined, value: unknown, { file, mediaType }: PartOptions): Part {
  if (file) return fileOf(name, value, mediaType ?? ANY_FILE);
  const disposition = name === undefined ? undefined : field(name);
  if (mediaType !== undefined && isJson(mediaType)) return part(jsonText(value), mediaType, disposition);
  if (mediaType === undefined && (isObject(value) || Array.isArray(value))) {
    return part(jsonText(value), "application/json", disposition);
  }
  return part(scalar(value), mediaType, disposition);
}

function fileOf(name: string | undefined, value: unknown, usual: string): Part {
  let [filename, mediaType, bytes] = [name, usual, value];
  if (isObject(value)) {
    if (!Object.hasOwn(value, "data")) throw new ValueError("a file has its bytes in base64 as `data`");
    mediaType = scalar(value["contentType"] ?? usual);
    // RFC 9110, 5.5: CR and LF would add a header.
    if (hasControl(mediaType)) throw new ValueError("a header value cannot hold control characters");
    const stated = value["filename"] ?? undefined;
    filename = stated === undefined ? name : scalar(stated);
    bytes = value["data"];
  }
  const disposition = name === undefined ? undefined : field(name);
  const named = filename === undefined ? disposition : `${disposition ?? "attachment"}; filename="${quoted(filename)}"`;
  return part(base64Bytes(bytes), mediaType, named);
}

function headOf({ disposition, mediaType, headers }: Part): string {
  const stated: [string, string | undefined][] = [
    ["Content-Disposition", disposition],
    ["Content-Type", mediaType],
    ...headers,
  ];
  return stated.map(([name, value]) => (value === undefined ? "" : `${name}: ${value}\r\n`)).join("");
}

function field(name: string): string {
  return `form-data; name="${quoted(name)}"`;
}

/** A name as browsers write it (WHATWG HTML, multipart/form-data encoding). */
function quoted(text: string): string {
  return text.replaceAll("\r", "%0D").replaceAll("\n", "%0A").replaceAll('"', "%22");
}

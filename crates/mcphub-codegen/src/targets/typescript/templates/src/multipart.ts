/** Bodies of `multipart/form-data` (RFC 7578), and bytes in base64. */

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

interface Part {
  head: string;
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

/** The parts of a form so far. */
export class Multipart {
  readonly #parts: Part[] = [];

  /**
   * Adds a value: text, an object as JSON, an array as one part for each item, nothing for `null`.
   *
   * A file may be an object with `data`, and `filename` and `contentType` where they matter.
   */
  add(name: string, value: unknown, options: PartOptions = {}): void {
    const json = options.mediaType !== undefined && isJson(options.mediaType);
    if (options.style !== undefined) {
      const fields = pairs(name, value, options.style, options.explode ?? true, plain);
      for (const [key, text] of fields) this.#push(key, text);
    } else if (Array.isArray(value) && !json) {
      for (const item of value) if (item !== null) this.#item(name, item, options);
    } else if (value !== null || json) {
      this.#item(name, value, options);
    }
  }

  /**
   * The boundary and the body.
   *
   * The boundary is made of a digest of the parts, which no part can hold, so that the same arguments are the same
   * bytes.
   */
  finish(): { boundary: string; body: Uint8Array } {
    const digest = createHash("sha256");
    for (const part of this.#parts) digest.update(part.head).update(part.content);
    const boundary = digest.digest("hex").slice(0, 32);
    const chunks = this.#parts.flatMap((part) => [`--${boundary}\r\n${part.head}\r\n`, part.content, "\r\n"]);
    return { boundary, body: Buffer.concat([...chunks, `--${boundary}--\r\n`].map((chunk) => Buffer.from(chunk))) };
  }

  #item(name: string, value: unknown, { file, mediaType }: PartOptions): void {
    if (file) this.#file(name, value, mediaType ?? ANY_FILE);
    else if (mediaType !== undefined && isJson(mediaType)) this.#push(name, jsonText(value), mediaType);
    else if (mediaType === undefined && (isObject(value) || Array.isArray(value))) {
      this.#push(name, jsonText(value), "application/json");
    } else this.#push(name, scalar(value), mediaType);
  }

  #file(name: string, value: unknown, mediaType: string): void {
    if (!isObject(value)) {
      this.#push(name, base64Bytes(value), mediaType, name);
      return;
    }
    if (!Object.hasOwn(value, "data")) throw new ValueError("a file has its bytes in base64 as `data`");
    const { data, filename, contentType } = value;
    const stated = scalar(contentType ?? mediaType);
    // RFC 9110, 5.5: CR and LF would add a header.
    if (hasControl(stated)) throw new ValueError("a header value cannot hold control characters");
    this.#push(name, base64Bytes(data), stated, scalar(filename ?? name));
  }

  #push(name: string, content: string | Uint8Array, mediaType?: string, filename?: string): void {
    let head = `Content-Disposition: form-data; name="${quoted(name)}"`;
    if (filename !== undefined) head += `; filename="${quoted(filename)}"`;
    head += "\r\n";
    if (mediaType !== undefined) head += `Content-Type: ${mediaType}\r\n`;
    this.#parts.push({ head, content });
  }
}

/** A name as browsers write it (WHATWG HTML, multipart/form-data encoding). */
function quoted(text: string): string {
  return text.replaceAll("\r", "%0D").replaceAll("\n", "%0A").replaceAll('"', "%22");
}

/**
 * How values are written: the tables "Style Values" and "Style Examples" of OpenAPI 3.0.4, RFC 6570.
 *
 * Where the tables say nothing:
 *
 * - `null`, `undefined` and an empty array or object are absent; an empty string is present and empty.
 * - A value that nests below an array's item or an object's member is JSON text, except in `deepObject`, where members
 *   nest as `a[b][c]` and arrays repeat their key.
 * - Exploded cookies are pairs of their own (`a=1; a=2`), not the `&` of the query.
 * - Parts of a multipart body that have a style are not percent-encoded.
 * - A number with a fraction or an exponent is written as ECMAScript does (`1`, `0.1`, `1e+21`).
 */

import { isExact } from "./exact.ts";

export type Style =
  | "matrix"
  | "label"
  | "simple"
  | "form"
  | "spaceDelimited"
  | "pipeDelimited"
  | "tabDelimited"
  | "deepObject"
  | "cookie";
export type Escape = (text: string) => string;
export type Pair = readonly [name: string, value: string];

/** A value cannot be written; the message says what is expected. */
export class ValueError extends Error {}

/** As it is: headers, parts, cookies of the style `cookie`. */
export const plain: Escape = (text) => text;

/** All but the unreserved characters of RFC 3986 are escaped: path, query, cookie, form. */
export const percent: Escape = (text) =>
  encodeURIComponent(text.toWellFormed()).replace(
    /[!'()*]/g,
    (char) => `%${char.charCodeAt(0).toString(16).toUpperCase()}`,
  );

/**
 * `allowReserved`: percent-encoded triples pass, and reserved characters (RFC 6570, reserved expansion) but those that
 * would end or split a query: `#`, `&`, `+`, `[`, `]`.
 */
export const reserved: Escape = (text) =>
  text
    .split(/(%[0-9A-Fa-f]{2})/)
    .map((part, at) => (at % 2 === 1 ? part : part.replace(/[^A-Za-z0-9._~:/?@!$'()*,;=-]+/g, percent)))
    .join("");

/** The name of a pair, in which nothing is reserved. */
export function key(name: string, escape: Escape): string {
  return escape === plain ? name : percent(name);
}

/** Whether a media type is `application/json` or has the suffix `+json` (RFC 6839). */
export function isJson(mediaType: string): boolean {
  const essence = (mediaType.split(";", 1)[0] ?? "").trim().toLowerCase();
  return essence === "application/json" || essence.endsWith("+json");
}

/** The text of one value: a string's content, a number's digits, JSON for what nests. */
export function scalar(value: unknown): string {
  if (typeof value === "string") return value;
  if (typeof value === "number") {
    if (!Number.isFinite(value)) throw new ValueError("must be a finite number");
    return String(value);
  }
  if (isExact(value)) return /[.eE]/.test(value.rawJSON) ? String(Number(value.rawJSON)) : value.rawJSON;
  return jsonText(value);
}

/** JSON on one line without white space. */
export function jsonText(value: unknown): string {
  return JSON.stringify(value);
}

/** The value of a parameter with `content`: JSON text, or the bare text for other media types. */
export function content(mediaType: string, value: unknown): string {
  return isJson(mediaType) ? jsonText(value) : scalar(value);
}

/** The value of a path or header parameter as one text; `undefined` when it is absent. */
export function single(
  name: string,
  value: unknown,
  style: Style,
  explode: boolean,
  escape: Escape,
): string | undefined {
  const wireName = escape(name);
  if (isAbsent(value)) return undefined;
  if (Array.isArray(value)) {
    const items = present(value).map((item) => escape(scalar(item)));
    if (items.length === 0) return undefined;
    if (style === "label") return `.${items.join(explode ? "." : ",")}`;
    if (style === "matrix")
      return explode ? items.map((item) => `;${wireName}=${item}`).join("") : `;${wireName}=${items.join(",")}`;
    return items.join(delimiterOf(style, escape));
  }
  if (isObject(value)) {
    const between = explode ? "=" : ",";
    const written = members(value).map(([member, item]) => `${escape(member)}${between}${escape(scalar(item))}`);
    if (written.length === 0) return undefined;
    if (style === "label") return `.${written.join(explode ? "." : ",")}`;
    if (style === "matrix") return explode ? `;${written.join(";")}` : `;${wireName}=${written.join(",")}`;
    return written.join(",");
  }
  const text = escape(scalar(value));
  if (style === "label") return `.${text}`;
  if (style === "matrix") return text === "" ? `;${wireName}` : `;${wireName}=${text}`;
  return text;
}

/** The value of a query, cookie or form parameter as escaped pairs of name and value. */
export function pairs(name: string, value: unknown, style: Style, explode: boolean, escape: Escape): Pair[] {
  const wireName = key(name, escape);
  if (style === "deepObject") return deep(wireName, value, escape);
  const delimiter = delimiterOf(style, escape === plain ? plain : percent);
  if (isAbsent(value)) return [];
  if (Array.isArray(value)) {
    const items = present(value).map((item) => escape(scalar(item)));
    if (explode) return items.map((item) => [wireName, item]);
    return items.length === 0 ? [] : [[wireName, items.join(delimiter)]];
  }
  if (isObject(value)) {
    const written = members(value).map(([member, item]): Pair => [key(member, escape), escape(scalar(item))]);
    if (explode) return written;
    return written.length === 0 ? [] : [[wireName, written.flat().join(delimiter)]];
  }
  return [[wireName, escape(scalar(value))]];
}

/** Whether a text has a character that no header can hold. */
export function hasControl(text: string): boolean {
  return /[\x00-\x08\x0a-\x1f\x7f]/.test(text);
}

/** `name=value` for each pair. */
export function join(items: readonly Pair[], separator: string): string {
  return items.map(([name, value]) => `${name}=${value}`).join(separator);
}

/** The members of an object as a form: an array repeats the name, an object is JSON text. */
export function form(value: unknown): string {
  if (!isObject(value)) throw new ValueError("must be an object");
  const fields = Object.entries(value).flatMap(([name, member]): Pair[] =>
    isObject(member) ? [[percent(name), percent(jsonText(member))]] : pairs(name, member, "form", true, percent),
  );
  return join(fields, "&");
}

/** The whole query as one value: a form, or the text of another media type. */
export function queryString(mediaType: string, value: unknown): string {
  if (mediaType.toLowerCase() !== "application/x-www-form-urlencoded") return percent(content(mediaType, value));
  return isAbsent(value) ? "" : form(value);
}

/** Whether a value is an object with members. */
export function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === "object" && value !== null && !Array.isArray(value) && !isExact(value);
}

const DELIMITERS: Partial<Record<Style, string>> = { spaceDelimited: " ", pipeDelimited: "|", tabDelimited: "\t" };

/** What stands between the items of an array, as it travels. */
function delimiterOf(style: Style, escape: Escape): string {
  const delimiter = DELIMITERS[style];
  return delimiter === undefined ? "," : escape(delimiter);
}

function deep(name: string, value: unknown, escape: Escape): Pair[] {
  if (isAbsent(value)) return [];
  if (Array.isArray(value)) return present(value).map((item) => [name, escape(scalar(item))]);
  if (!isObject(value)) return [[name, escape(scalar(value))]];
  const [before, after] = escape === plain ? ["[", "]"] : ["%5B", "%5D"];
  return Object.entries(value).flatMap(([member, item]) =>
    deep(`${name}${before}${key(member, escape)}${after}`, item, escape),
  );
}

function isAbsent(value: unknown): value is null | undefined {
  return value === null || value === undefined;
}

function present(items: readonly unknown[]): unknown[] {
  return items.filter((item) => !isAbsent(item));
}

function members(value: Record<string, unknown>): [string, unknown][] {
  return Object.entries(value).filter(([, item]) => !isAbsent(item));
}

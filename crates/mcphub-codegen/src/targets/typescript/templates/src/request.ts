/** Arguments become an HTTP request. */

import { parseExact } from "./exact.ts";
import { Multipart, base64Bytes, type Part, type PartOptions } from "./multipart.ts";
import type { Secret } from "./secret.ts";
import * as serialization from "./serialization.ts";
import { ValueError, percent, plain, reserved, type Escape, type Pair, type Style } from "./serialization.ts";
import { xmlDocument, type Shape } from "./xml.ts";

/** An argument cannot be sent; the message says what is expected of it. */
export class ArgumentError extends Error {
  constructor(argument: string, expected: string) {
    super(`${argument}: ${expected}`);
    this.name = "ArgumentError";
  }
}

/** What a request is besides its method and path. */
export interface RequestOptions {
  /** What the operation answers with. */
  accept: string;
  /** A base URL of this operation alone. */
  server?: string;
  /** Alternatives, each a list of schemes that are needed together. */
  security?: readonly (readonly string[])[];
  /** Whether the request twice is as good as once. Default: what the method says. */
  repeatable?: boolean;
}

/** How a path or header parameter is written. */
export interface SingleOptions {
  /** Default: `simple`. */
  style?: Style;
  /** Default: false. */
  explode?: boolean;
  /** The media type of a value that is no plain text. */
  content?: string;
  /** The name of the tool's argument, where it is not that of the parameter. */
  argument?: string;
}

/** How a query or cookie parameter, or a field of a form, is written. */
export interface PairOptions extends SingleOptions {
  /** Default: `form`. */
  style?: Style;
  /** Default: true. */
  explode?: boolean;
  /** Default: false. */
  allowReserved?: boolean;
}

/** How a body is sent. */
export interface BodyOptions {
  /** Whether there is a body when no part of it was given. Default: true. */
  required?: boolean;
  /** Default: the usual one of the method. */
  mediaType?: string;
}

/** The methods whose requests are as good twice as once (RFC 9110, 9.2.2). */
const IDEMPOTENT = ["GET", "HEAD", "OPTIONS", "TRACE", "QUERY", "PUT", "DELETE"];

const XML = "application/xml";
const FORM = "application/x-www-form-urlencoded";
const MULTIPART = "multipart/form-data";
const JSON_TYPE = "application/json";

/** A body and its media type. */
interface Body {
  body: string | Uint8Array;
  mediaType: string;
}

/**
 * One HTTP request in the making. Values that are `undefined` are left out, which `null` is not: an API may tell null
 * from nothing.
 */
export class HttpRequest {
  readonly method: string;
  readonly server: string | undefined;
  readonly security: readonly (readonly string[])[];
  readonly repeatable: boolean;
  /** Names are in lower case. */
  headers: [name: string, value: string][];
  body: string | Uint8Array | undefined;
  /** `user:password`, with which a question of the API is answered (HTTP digest). */
  login: Secret | undefined;
  /** Whether the connection shows the client certificate, where there is one. */
  certified = false;

  readonly #template: string;
  readonly #pathArguments: [placeholder: string, argument: string][] = [];
  readonly #query: Pair[] = [];
  /** The arguments of the tool by the name of their query parameter. */
  readonly arguments = new Map<string, string>();
  readonly #cookies: Pair[] = [];
  readonly #secrets: Pair[] = [];
  #queryString = "";
  #path: string;
  #mediaType = "";
  #form: Form | MultipartForm | undefined;

  /** `path` is a template such as `/books/{isbn}`. */
  constructor(method: string, path: string, options: RequestOptions) {
    this.method = method;
    this.server = options.server;
    this.security = options.security ?? [];
    this.repeatable = options.repeatable ?? IDEMPOTENT.includes(method);
    this.headers = [["accept", options.accept]];
    this.#template = path;
    this.#path = path;
  }

  /** A part of the path. */
  path(name: string, value: unknown, options: SingleOptions = {}): void {
    const argument = options.argument ?? name;
    const text = singleText(name, value, options, percent);
    if (text === undefined) throw new ArgumentError(argument, "a required argument is missing");
    this.#path = this.#path.replaceAll(`{${name}}`, () => text);
    this.#pathArguments.push([`{${name}}`, argument]);
  }

  /** A query parameter. */
  query(name: string, value: unknown, options: PairOptions = {}): void {
    this.arguments.set(name, options.argument ?? name);
    this.#query.push(...pairTexts(name, value, options));
  }

  /** The whole query (OpenAPI 3.2.0, Parameter Locations, `querystring`). */
  queryString(name: string, value: unknown, options: { content: string; argument?: string }): void {
    if (value === undefined) return;
    this.#queryString = checked(options.argument ?? name, () => serialization.queryString(options.content, value));
  }

  /** A header. */
  header(name: string, value: unknown, options: SingleOptions = {}): void {
    const text = singleText(name, value, options, plain);
    if (text === undefined) return;
    refuseControls(options.argument ?? name, text);
    this.headers.push([name.toLowerCase(), text]);
  }

  /** A cookie. */
  cookie(name: string, value: unknown, options: PairOptions = {}): void {
    const pairs = pairTexts(name, value, options);
    if (options.style === "cookie") {
      for (const [key, text] of pairs) {
        // RFC 6265, 4.1.1: what is sent as it is must not become two cookies.
        if (key === "" || key.includes("=") || `${key}${text}`.includes(";")) {
          throw new ArgumentError(options.argument ?? name, "a cookie cannot hold a semicolon");
        }
        refuseControls(options.argument ?? name, `${key}${text}`);
      }
    }
    this.#cookies.push(...pairs);
  }

  /** The body as one JSON value. */
  json(value: unknown, options: BodyOptions & { argument: string }): void {
    this.#mediaType = options.mediaType ?? JSON_TYPE;
    if (value === undefined) return;
    this.#setBody(
      checked(options.argument, () => serialization.jsonText(value)),
      options.mediaType ?? JSON_TYPE,
    );
  }

  /** The body as a JSON object; none at all when no member is set, unless it is required. */
  jsonMembers(members: readonly (readonly [name: string, value: unknown])[], options: BodyOptions = {}): void {
    this.#mediaType = options.mediaType ?? JSON_TYPE;
    const present = members.filter(([, value]) => value !== undefined);
    if (present.length === 0 && options.required === false) return;
    const written = present.map(
      ([name, value]) => `${serialization.jsonText(name)}:${checked(name, () => serialization.jsonText(value))}`,
    );
    this.#setBody(`{${written.join(",")}}`, options.mediaType ?? JSON_TYPE);
  }

  /** The body as XML. */
  xml(value: unknown, options: BodyOptions & { argument: string; shape: Shape }): void {
    if (value === undefined) return;
    this.#setBody(
      checked(options.argument, () => xmlDocument(options.shape, value)),
      options.mediaType ?? XML,
    );
  }

  /** The body as XML of an object; none at all when no member is set, unless it is required. */
  xmlMembers(
    members: readonly (readonly [name: string, value: unknown])[],
    options: BodyOptions & { shape: Shape },
  ): void {
    const present = members.filter(([, value]) => value !== undefined);
    if (present.length === 0 && options.required === false) return;
    this.xml(Object.fromEntries(present), { ...options, argument: "body" });
  }

  /** The body as plain text. */
  text(value: unknown, options: { argument: string; mediaType: string }): void {
    if (value === undefined) return;
    this.#setBody(
      checked(options.argument, () => serialization.scalar(value)),
      options.mediaType,
    );
  }

  /** The body as bytes, which come in base64. */
  binary(value: unknown, options: { argument: string; mediaType: string }): void {
    if (value === undefined) return;
    this.#setBody(
      checked(options.argument, () => base64Bytes(value)),
      options.mediaType,
    );
  }

  /** The body as a JSON value on each line; with record separators where the media type says so (RFC 7464). */
  jsonLines(value: unknown, options: { argument: string; mediaType: string }): void {
    if (value === undefined) return;
    const separator = options.mediaType.endsWith("json-seq") ? "\x1e" : "";
    const items: unknown[] = Array.isArray(value) ? value : [value];
    const lines = checked(options.argument, () => items.map((item) => `${separator}${serialization.jsonText(item)}\n`));
    this.#setBody(lines.join(""), options.mediaType);
  }

  /** The body as parts, to be filled; none at all when no field is set, unless it is required. */
  multipart(options: BodyOptions = {}): MultipartForm {
    const form = new MultipartForm(options.required ?? true, options.mediaType ?? MULTIPART);
    this.#form = form;
    return form;
  }

  /** The body as parts that are the members of one value, or its items, which a form does not have. */
  multipartValue(value: unknown, options: BodyOptions & { argument: string }): void {
    if (value === undefined) return;
    if (Array.isArray(value) && options.mediaType !== undefined && options.mediaType !== MULTIPART) {
      this.multipartList(value, { argument: options.argument, mediaType: options.mediaType }).rest();
      return;
    }
    if (!serialization.isObject(value)) throw new ArgumentError(options.argument, "must be an object");
    const form = this.multipart(options);
    for (const [name, member] of Object.entries(value)) form.field(name, member, { argument: options.argument });
  }

  /**
   * The body as parts in order, of which `next` and `rest` say how they are written. The members of an object are parts
   * with names.
   */
  multipartList(value: unknown, options: { argument: string; mediaType: string }): PartList {
    if (!Array.isArray(value)) this.multipartValue(value, options);
    const items: readonly unknown[] = Array.isArray(value) ? value : [];
    const form = Array.isArray(value) ? this.multipart({ mediaType: options.mediaType }) : undefined;
    return new PartList(items, (item, part) => form?.item(item, options.argument, part) ?? []);
  }

  /** The body as a form, to be filled; none at all when no field is set, unless it is required. */
  form(options: BodyOptions = {}): Form {
    const form = new Form(options.required ?? true, options.mediaType ?? FORM);
    this.#form = form;
    return form;
  }

  /** The body as a form whose fields are the members of one value. */
  formValue(value: unknown, options: BodyOptions & { argument: string }): void {
    if (value === undefined) return;
    this.#setBody(
      checked(options.argument, () => serialization.form(value)),
      options.mediaType ?? FORM,
    );
  }

  /**
   * Puts the parts together; nothing can be added afterwards.
   *
   * Throws an `ArgumentError` when a value would add, remove or empty a part of the path: RFC 3986, 5.2.4 removes `.`
   * and `..`, and an empty part is taken for the collection above.
   */
  finish(): void {
    const segments = this.#path.split("/");
    for (const [at, template] of this.#template.split("/").entries()) {
      const segment = segments[at] ?? "";
      if (template === segment || !["", ".", ".."].includes(segment)) continue;
      const named = this.#pathArguments.find(([placeholder]) => template.includes(placeholder));
      const shown = segment === "" ? "an empty value" : segment;
      throw new ArgumentError(named?.[1] ?? template, `${shown} is not possible here: it would change the path`);
    }
    if (this.#cookies.length > 0) this.headers.push(["cookie", serialization.join(this.#cookies, "; ")]);
    const sent = this.#form?.finish();
    if (sent) this.#setBody(sent.body, sent.mediaType);
    if (this.body !== undefined) this.headers.push(["content-type", this.#mediaType]);
  }

  /** Path and query. */
  get target(): string {
    // Some documents write a fragment to tell operations apart; it is not sent.
    const path = this.#path.split("#", 1)[0] ?? "";
    const parts = [serialization.join(this.#query, "&"), this.#queryString, this.secrets];
    const query = parts.filter((part) => part !== "").join("&");
    if (query === "") return path;
    // And some have a fixed query in the path.
    return `${path}${path.includes("?") ? "&" : "?"}${query}`;
  }

  /** What the query has of credentials, escaped. */
  get secrets(): string {
    return serialization.join(this.#secrets, "&");
  }

  /** Sets a header, in place of others with that name. */
  setHeader(name: string, value: string): void {
    const lower = name.toLowerCase();
    this.headers = this.headers.filter(([other]) => other !== lower);
    this.headers.push([lower, value]);
  }

  /** Adds one pair to the query. */
  addQuery(name: string, value: string): void {
    this.#secrets.push([percent(name), percent(value)]);
  }

  /** Adds one cookie to those of the request. */
  addCookie(name: string, value: string): void {
    const pair = `${name}=${percent(value)}`;
    const cookies = this.headers.find(([header]) => header === "cookie");
    if (cookies) cookies[1] = `${cookies[1]}; ${pair}`;
    else this.headers.push(["cookie", pair]);
  }

  /** A member of a JSON body, once that is finished; `undefined` where there is none. */
  member(name: string): unknown {
    const body = this.#object();
    return body && Object.hasOwn(body, name) ? body[name] : undefined;
  }

  /** Changes a member of a JSON body, once that is finished. */
  setMember(name: string, value: unknown): void {
    const body = this.#object();
    if (!body) return;
    if (this.body === undefined) this.headers.push(["content-type", this.#mediaType]);
    this.#setBody(serialization.jsonText({ ...body, [name]: value }), this.#mediaType);
  }

  #object(): Record<string, unknown> | undefined {
    const body = parseExact(this.body === undefined ? "{}" : Buffer.from(this.body).toString());
    return serialization.isObject(body) ? body : undefined;
  }

  #setBody(content: string | Uint8Array, mediaType: string): void {
    this.body = content;
    this.#mediaType = mediaType;
  }
}

/** The fields of a form body. */
export class Form {
  readonly #fields: Pair[] = [];
  readonly #required: boolean;
  readonly #mediaType: string;
  #touched = false;

  constructor(required: boolean, mediaType: string) {
    this.#required = required;
    this.#mediaType = mediaType;
  }

  /**
   * A field. Without a style, an array repeats the name and an object is JSON text (OpenAPI 3.0.4, Encoding Object).
   */
  field(name: string, value: unknown, options: PairOptions = {}): void {
    if (value === undefined) return;
    this.#touched = true;
    const asJson = options.style === undefined && options.content === undefined && serialization.isObject(value);
    this.#fields.push(...pairTexts(name, value, asJson ? { ...options, content: JSON_TYPE } : options));
  }

  /** The body, be it an empty one; `undefined` where none is sent. */
  finish(): Body | undefined {
    if (!this.#required && !this.#touched) return undefined;
    return { body: serialization.join(this.#fields, "&"), mediaType: this.#mediaType };
  }
}

/** The fields of a multipart body. */
export class MultipartForm {
  readonly #parts = new Multipart();
  readonly #required: boolean;
  readonly #mediaType: string;
  #touched = false;

  constructor(required: boolean, mediaType: string) {
    this.#required = required;
    this.#mediaType = mediaType;
  }

  /** A field: text, an object as JSON, an array as one part for each item, or a file. */
  field(name: string, value: unknown, options: PartOptions & { argument?: string } = {}): Parts {
    if (value === undefined) return new Parts([]);
    this.#touched = true;
    return new Parts(checked(options.argument ?? name, () => this.#parts.add(name, value, options)));
  }

  /** An item of an array. */
  item(value: unknown, argument: string, options: PartOptions): Part[] {
    this.#touched = true;
    return checked(argument, () => this.#parts.item(value, options));
  }

  /** The body, be it an empty one; `undefined` where none is sent. */
  finish(): Body | undefined {
    if (!this.#required && !this.#touched) return undefined;
    return this.#parts.finish(this.#mediaType);
  }
}

/** Parts that were just added to a body. */
export class Parts {
  readonly #parts: readonly Part[];

  constructor(parts: readonly Part[]) {
    this.#parts = parts;
  }

  /** A header of each of these parts. */
  header(name: string, value: unknown, options: { argument: string; required?: boolean; explode?: boolean }): this {
    if (this.#parts.length === 0) return this;
    const { argument, required, explode } = options;
    const text = singleText(name, value, { argument, ...(explode !== undefined && { explode }) }, plain);
    if (text === undefined) {
      if (required) throw new ArgumentError(argument, "a required argument is missing");
      return this;
    }
    refuseControls(argument, text);
    for (const part of this.#parts) {
      if (name.toLowerCase() === "content-disposition") part.disposition = text;
      else part.headers.push([name, text]);
    }
    return this;
  }
}

/** The items of an array, which become parts of a body. */
export class PartList {
  readonly #items: readonly unknown[];
  readonly #add: (item: unknown, options: PartOptions) => Part[];
  #at = 0;

  constructor(items: readonly unknown[], add: (item: unknown, options: PartOptions) => Part[]) {
    this.#items = items;
    this.#add = add;
  }

  /** The next item as a part. */
  next(options: PartOptions = {}): Parts {
    return this.#take(1, options);
  }

  /** The items that are left, as a part each. */
  rest(options: PartOptions = {}): Parts {
    return this.#take(this.#items.length, options);
  }

  #take(count: number, options: PartOptions): Parts {
    const items = this.#items.slice(this.#at, this.#at + count);
    this.#at += items.length;
    return new Parts(items.flatMap((item) => this.#add(item, options)));
  }
}

function refuseControls(argument: string, text: string): void {
  // RFC 9110, 5.5: CR and LF would add a header.
  if (serialization.hasControl(text)) {
    throw new ArgumentError(argument, "a header value cannot hold control characters");
  }
}

function singleText(name: string, value: unknown, options: SingleOptions, escape: Escape): string | undefined {
  if (value === undefined) return undefined;
  return checked(options.argument ?? name, () =>
    options.content === undefined
      ? serialization.single(name, value, options.style ?? "simple", options.explode ?? false, escape)
      : escape(serialization.content(options.content, value)),
  );
}

function pairTexts(name: string, value: unknown, options: PairOptions): Pair[] {
  if (value === undefined) return [];
  const escape = options.style === "cookie" ? plain : options.allowReserved ? reserved : percent;
  return checked(options.argument ?? name, () =>
    options.content === undefined
      ? serialization.pairs(name, value, options.style ?? "form", options.explode ?? true, escape)
      : [[serialization.key(name, escape), escape(serialization.content(options.content, value))]],
  );
}

function checked<Value>(argument: string, write: () => Value): Value {
  try {
    return write();
  } catch (error) {
    if (error instanceof ValueError) throw new ArgumentError(argument, error.message);
    // The engine's own, of its stack.
    if (error instanceof RangeError) throw new ArgumentError(argument, "nests too deeply");
    throw error;
  }
}

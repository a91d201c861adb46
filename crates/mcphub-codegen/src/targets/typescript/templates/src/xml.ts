/**
 * Values become XML as the XML Objects of the API's document say (OpenAPI 3.0.4, 3.1.1 and 3.2.0).
 *
 * `null` and what is left out have no element; a value that nothing is said of is an element named by its member;
 * arrays repeat it; nothing is indented.
 */

import { readFileSync } from "node:fs";

import * as serialization from "./serialization.ts";
import { ValueError } from "./serialization.ts";

/** How one value becomes XML. */
interface Node {
  /** Without prefix; that of the member where absent. On an array it names the element around the items. */
  name?: string;
  /** Declared on the element. */
  namespace?: string;
  prefix?: string;
  /** What it becomes, where that is no element. */
  kind?: "attribute" | "text" | "cdata";
  /** Whether an element stands around the items of an array. */
  wrapped?: boolean;
  members?: Readonly<Record<string, Node>>;
  items?: Node;
  /** The names of nodes that say what this one does not, the first first. */
  types?: readonly string[];
}

/** How a body becomes XML. */
export interface Shape {
  root?: Node;
  types?: Readonly<Record<string, Node>>;
}

const MAX_DEPTH = 128;
const MAX_TYPES = 32;
// XML 1.0, 2.3; all beyond Latin-1 signs counts as a letter.
const NAME = /^[A-Za-z_\u{c0}-\u{10ffff}][A-Za-z0-9_.:\u{b7}\u{c0}-\u{10ffff}-]*$/u;
// XML 1.0, 2.2: what is no character of it.
const ILLEGAL = /[\u0000-\u0008\u000b\u000c\u000e-\u001f\ufffe\uffff]/;
const ESCAPES: Readonly<Record<string, string>> = {
  "&": "&amp;",
  "<": "&lt;",
  ">": "&gt;",
  '"': "&quot;",
  "\t": "&#9;",
  "\n": "&#10;",
  "\r": "&#13;",
};

/** How the body of a tool becomes XML: `xml` in its file of schemas. */
export function shape(schemas: string): Shape {
  const file = new URL(`../schemas/${schemas}.json`, import.meta.url);
  return (JSON.parse(readFileSync(file, "utf8")) as { xml: Shape }).xml;
}

/** A whole document. Throws a `ValueError` for what XML cannot hold. */
export function xmlDocument(shape: Shape, value: unknown): string {
  return new Writer(shape).document(value);
}

class Writer {
  readonly #shape: Shape;
  #out = '<?xml version="1.0" encoding="UTF-8"?>';
  #depth = 0;

  constructor(shape: Shape) {
    this.#shape = shape;
  }

  document(value: unknown): string {
    const root = this.#whole(this.#shape.root);
    this.#element(root.name ?? "root", root, value);
    return this.#out;
  }

  /** A node together with its types. */
  #whole(node: Node = {}): Node {
    const nodes = [node];
    for (const known of nodes) {
      const room = Math.max(MAX_TYPES - nodes.length, 0);
      for (const name of (known.types ?? []).slice(0, room)) {
        const type = own(this.#shape.types, name);
        if (type !== undefined) nodes.push(type);
      }
    }
    return nodes.reduceRight<Node>(
      (whole, known) => ({ ...whole, ...known, members: { ...whole.members, ...known.members } }),
      {},
    );
  }

  #element(name: string, node: Node, value: unknown): void {
    const tag = qualified(name, node);
    const attributes = new Map<string, string>();
    declare(attributes, node);
    const children: [string, Node, unknown][] = [];
    if (serialization.isObject(value)) {
      for (const [member, item] of Object.entries(value)) {
        const inner = this.#whole(own(node.members, member));
        if (inner.kind !== "attribute") {
          children.push([member, inner, item]);
        } else if (item !== null && item !== undefined) {
          declare(attributes, inner);
          attributes.set(qualified(inner.name ?? member, inner), serialization.scalar(item));
        }
      }
    }
    this.#depth += 1;
    if (this.#depth > MAX_DEPTH) throw new ValueError("the value nests too deeply");
    this.#out += `<${tag}`;
    for (const [key, text] of attributes) this.#out += ` ${key}="${legal(text).replace(/[&<>"\t\n\r]/g, escaped)}"`;
    this.#out += ">";
    for (const [member, inner, item] of children) this.#child(member, inner, item);
    if (Array.isArray(value)) this.#items(name, node, value);
    else if (value !== null && value !== undefined && !serialization.isObject(value)) this.#text(value);
    this.#out += `</${tag}>`;
    this.#depth -= 1;
  }

  #child(member: string, node: Node, value: unknown): void {
    if (value === null || value === undefined) return;
    if (node.kind === "text") {
      this.#text(value);
    } else if (node.kind === "cdata") {
      const text = legal(serialization.scalar(value)).replaceAll("]]>", "]]]]><![CDATA[>");
      this.#out += `<![CDATA[${text}]]>`;
    } else if (Array.isArray(value) && node.wrapped !== true) {
      // 3.0.4, XML Object: without `wrapped`, the name of an array has no effect.
      this.#items(member, node, value);
    } else {
      this.#element(node.name ?? member, node, value);
    }
  }

  #items(name: string, array: Node, items: readonly unknown[]): void {
    const node = this.#whole(array.items);
    for (const item of items) this.#child(node.name ?? name, node, item);
  }

  #text(value: unknown): void {
    this.#out += legal(serialization.scalar(value)).replace(/[&<>\r]/g, escaped);
  }
}

/** A member that the object itself has. */
function own(of: Readonly<Record<string, Node>> | undefined, name: string): Node | undefined {
  return of !== undefined && Object.hasOwn(of, name) ? of[name] : undefined;
}

function declare(attributes: Map<string, string>, { namespace, prefix }: Node): void {
  if (namespace === undefined) return;
  const name = prefix === undefined ? "xmlns" : `xmlns:${prefix}`;
  if (!attributes.has(name)) attributes.set(name, namespace);
}

function qualified(name: string, { prefix }: Node): string {
  const tag = prefix === undefined ? name : `${prefix}:${name}`;
  if (!NAME.test(tag)) {
    throw new ValueError(`\`${tag.slice(0, 64)}\` cannot be the name of an XML element or attribute`);
  }
  return tag;
}

function legal(text: string): string {
  if (ILLEGAL.test(text)) throw new ValueError("it has characters that XML cannot hold");
  return text;
}

function escaped(char: string): string {
  return ESCAPES[char] ?? char;
}

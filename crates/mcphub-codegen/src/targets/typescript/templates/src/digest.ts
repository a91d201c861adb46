/** HTTP digest: answers to what the API asks, from a user and a password (RFC 7616). */

import { createHash, randomBytes } from "node:crypto";

import type { Secret } from "./secret.ts";

/** The longest question that is read; it comes back with every request. */
const MAX_QUESTION = 4096;
const HASHES = new Map([
  ["MD5", "md5"],
  ["SHA-256", "sha256"],
  ["SHA-512-256", "sha512-256"],
]);

/** RFC 7616, 3.3. */
interface Question {
  realm: string;
  nonce: string;
  opaque: string | undefined;
  /** As the server writes it. */
  algorithm: string | undefined;
  hash: string;
  /** Whether the algorithm ends in `-sess`. */
  session: boolean;
  quality: "auth" | "auth-int" | undefined;
  /** Whether the server wants the hash of the user in place of the name. */
  userhash: boolean;
  /** Whether the last answer was right and its question too old. */
  stale: boolean;
}

/** The answers of one user. What was asked last is answered ahead of the next request. */
export class Digest {
  readonly #login: Secret;
  #question: Question | undefined;
  /** How many requests were made with it so far. */
  #count = 0;
  #cnonce = "";

  /** The login is `user:password`. */
  constructor(login: Secret) {
    this.#login = login;
  }

  /** The value of `Authorization` for a request, when there was a question. */
  answer(method: string, url: URL, body: Uint8Array | undefined): string | undefined {
    const asked = this.#question;
    if (asked === undefined) return undefined;
    this.#count += 1;
    const hash = (content: string | Uint8Array): string => createHash(asked.hash).update(content).digest("hex");
    const [user = "", ...rest] = this.#login.reveal().split(":");
    const [uri, nc, cnonce] = [url.pathname + url.search, this.#count.toString(16).padStart(8, "0"), this.#cnonce];
    let first = hash(`${user}:${asked.realm}:${rest.join(":")}`);
    if (asked.session) first = hash(`${first}:${asked.nonce}:${cnonce}`);
    const integrity = asked.quality === "auth-int" ? `:${hash(body ?? "")}` : "";
    const second = hash(`${method}:${uri}${integrity}`);
    const middle = asked.quality === undefined ? "" : `:${nc}:${cnonce}:${asked.quality}`;
    const fields = [
      ...nameFields(user, asked, hash),
      `realm=${quoted(asked.realm)}`,
      `nonce=${quoted(asked.nonce)}`,
      `uri=${quoted(uri)}`,
      `response="${hash(`${first}:${asked.nonce}${middle}:${second}`)}"`,
    ];
    if (asked.algorithm !== undefined) fields.push(`algorithm=${asked.algorithm}`);
    if (asked.opaque !== undefined) fields.push(`opaque=${quoted(asked.opaque)}`);
    if (asked.quality !== undefined) fields.push(`qop=${asked.quality}`, `nc=${nc}`, `cnonce="${cnonce}"`);
    else if (asked.session) fields.push(`cnonce="${cnonce}"`);
    // `Headers` takes a character for each byte.
    return Buffer.from(`Digest ${fields.join(", ")}`).toString("latin1");
  }

  /**
   * Takes the question of a refusal over. Whether the request is worth another try: it was made without an answer, or
   * with one to an older question.
   */
  ask(header: string, answered: string | null): boolean {
    const question = readQuestion(header);
    if (question === undefined) return false;
    const again = question.stale || !answered?.includes(`nonce=${quoted(question.nonce)},`);
    this.#question = question;
    this.#count = 0;
    this.#cnonce = randomBytes(16).toString("hex");
    return again;
  }

  /** Forgets the last question: its answer was wrong. */
  forget(): void {
    this.#question = undefined;
  }
}

function nameFields(user: string, asked: Question, hash: (text: string) => string): string[] {
  if (asked.userhash) return [`username="${hash(`${user}:${asked.realm}`)}"`, "userhash=true"];
  // RFC 7616, 3.4, `username*`.
  return [/^[\x00-\x7f]*$/.test(user) ? `username=${quoted(user)}` : `username*=UTF-8''${extended(user)}`];
}

/** RFC 8187, 3.2.1. */
function extended(text: string): string {
  return encodeURIComponent(text).replace(/[!'()*]/g, (char) => `%${char.charCodeAt(0).toString(16).toUpperCase()}`);
}

function quoted(text: string): string {
  return `"${text.replaceAll("\\", "\\\\").replaceAll('"', '\\"')}"`;
}

/** The first question of a header that can be answered: servers put what they prefer first. */
function readQuestion(header: string): Question | undefined {
  if (header.length > MAX_QUESTION) return undefined;
  for (const { scheme, parameters } of challenges(header)) {
    const [realm, nonce] = [parameters.get("realm"), parameters.get("nonce")];
    const algorithm = parameters.get("algorithm");
    const name = (algorithm ?? "MD5").toUpperCase();
    const hash = HASHES.get(name.replace(/-SESS$/, ""));
    const offered = parameters
      .get("qop")
      ?.toLowerCase()
      .split(/\s*,\s*/);
    const quality = (["auth", "auth-int"] as const).find((wanted) => offered?.includes(wanted));
    const possible = offered === undefined || quality !== undefined;
    if (scheme !== "digest" || realm === undefined || nonce === undefined || hash === undefined || !possible) continue;
    const isTrue = (key: string): boolean => parameters.get(key)?.toLowerCase() === "true";
    return {
      realm,
      nonce,
      opaque: parameters.get("opaque"),
      algorithm,
      hash,
      session: name.endsWith("-SESS"),
      quality,
      userhash: isTrue("userhash"),
      stale: isTrue("stale"),
    };
  }
  return undefined;
}

interface Challenge {
  /** In lower case. */
  scheme: string;
  /** By name in lower case. */
  parameters: Map<string, string>;
}

/** RFC 9110, 11.6.1. What follows a mistake is not read. */
function challenges(header: string): Challenge[] {
  const found: Challenge[] = [];
  const token = /[\s,]*([!#$%&'*+.^_`|~\w-]+)(?:\s*=\s*(?:"((?:[^"\\]|\\.)*)"|([!#$%&'*+.^_`|~\w-]+))|(?=\s|$))/y;
  for (let match = token.exec(header); match !== null; match = token.exec(header)) {
    const [, name = "", text, bare] = match;
    const value = text?.replace(/\\(.)/g, "$1") ?? bare;
    if (value === undefined) found.push({ scheme: name.toLowerCase(), parameters: new Map() });
    else found.at(-1)?.parameters.set(name.toLowerCase(), value);
  }
  return found;
}

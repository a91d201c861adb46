/** Credentials go into a request as the operation asks for them. */

import type { HttpRequest } from "./request.ts";
import type { Secret } from "./secret.ts";

/** How the API wants to be shown who calls. `variable` is the environment variable that holds the secret. */
export type Scheme =
  | { kind: "apiKey"; variable: string; in: "header" | "query" | "cookie"; name: string }
  /** The secret is `user:password`. */
  | { kind: "basic"; variable: string }
  | { kind: "bearer"; variable: string }
  /** The secret is `user:password`. */
  | { kind: "digest"; variable: string }
  /** The secret is the identity of the credentials. */
  | { kind: "certificate"; variable: string }
  /** It takes more than a secret, and nothing is sent for it. */
  | { kind: "unsupported" };

/** The secrets that are configured. */
export interface Credentials {
  /** Headers for every call. */
  headers: ReadonlyMap<string, Secret>;
  /** For every bearer scheme without a secret of its own, and for every call to an API without schemes. */
  bearer: Secret | undefined;
  /** By the name of the scheme. */
  schemes: ReadonlyMap<string, Secret>;
  /** A client certificate and its private key: a PEM file, or its text. */
  identity?: Secret | undefined;
  /** Certificates of authorities to trust besides the system's: a PEM file, or its text. */
  authorities?: string | undefined;
}

/**
 * Adds what the operation asks for, and the headers for every call.
 *
 * Of the alternatives, the first whose schemes all have a secret is used; when none is complete, the secrets that the
 * first has are sent and the API decides.
 */
export function authorize(request: HttpRequest, credentials: Credentials, schemes: ReadonlyMap<string, Scheme>): void {
  const secretOf = (name: string): Secret | undefined =>
    credentials.schemes.get(name) ?? (schemes.get(name)?.kind === "bearer" ? credentials.bearer : undefined);
  const complete = request.security.find((names) => names.every((name) => secretOf(name) !== undefined));
  for (const name of complete ?? request.security[0] ?? []) {
    const scheme = schemes.get(name);
    const secret = secretOf(name);
    if (scheme && secret) apply(request, scheme, secret);
  }
  // Without such a scheme nothing says which operations ask for it.
  if (![...schemes.values()].some((scheme) => scheme.kind === "certificate")) request.certified = true;
  if (schemes.size === 0 && credentials.bearer) {
    request.setHeader("authorization", `Bearer ${credentials.bearer.reveal()}`);
  }
  for (const [name, value] of credentials.headers) request.setHeader(name, value.reveal());
}

function apply(request: HttpRequest, scheme: Scheme, hidden: Secret): void {
  const secret = hidden.reveal();
  switch (scheme.kind) {
    case "apiKey":
      if (scheme.in === "query") request.addQuery(scheme.name, secret);
      else if (scheme.in === "cookie") request.addCookie(scheme.name, secret);
      else request.setHeader(scheme.name, secret);
      break;
    case "basic":
      request.setHeader("authorization", `Basic ${Buffer.from(secret).toString("base64")}`);
      break;
    case "bearer":
      request.setHeader("authorization", `Bearer ${secret}`);
      break;
    case "digest":
      request.login = hidden;
      break;
    case "certificate":
      request.certified = true;
      break;
    case "unsupported":
  }
}

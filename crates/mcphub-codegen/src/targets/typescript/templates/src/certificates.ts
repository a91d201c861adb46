/**
 * Certificates: whose are trusted, and which one is shown to an API that asks (RFC 8446, 4.4.2).
 *
 * Each is a PEM file by its path, or the PEM text itself.
 */

import { readFileSync } from "node:fs";
import { createSecureContext, getCACertificates } from "node:tls";

import type { Secret } from "./secret.ts";

/** What connections of their own need; none of it where nothing is configured. */
export interface Tls {
  /** Authorities that are trusted, each in PEM; those of the system are among them. */
  ca?: string[];
  /** A client certificate with its private key, in PEM. */
  cert?: string;
  key?: string;
}

/** Certificates of authorities to trust besides the system's. Throws an `Error` for what is none. */
export function authoritiesFrom(text: string): string[] {
  const pem = pemOf(text);
  if (!/-----BEGIN (TRUSTED |X509 )?CERTIFICATE-----/.test(pem)) throw new Error("it is not PEM");
  createSecureContext({ ca: pem });
  return [...getCACertificates("default"), pem];
}

/** A client certificate with its private key. Throws an `Error` that holds no part of them. */
export function identityFrom(secret: Secret): { cert: string; key: string } {
  const pem = pemOf(secret.reveal());
  try {
    createSecureContext({ cert: pem, key: pem });
  } catch {
    throw new Error("it is not PEM that fits together");
  }
  return { cert: pem, key: pem };
}

function pemOf(text: string): string {
  if (text.includes("-----BEGIN ")) return text;
  try {
    return readFileSync(text, "utf8");
  } catch (error) {
    throw new Error((error as NodeJS.ErrnoException).code ?? "it cannot be read");
  }
}

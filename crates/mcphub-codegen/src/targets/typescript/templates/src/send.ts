/** How a request leaves: with `fetch`, and where that refuses it, without. */

import { request as httpRequest, type IncomingMessage } from "node:http";
import { request as httpsRequest } from "node:https";
import { Readable } from "node:stream";

import type { Tls } from "./certificates.ts";

/** One request, ready to be sent. The values of its headers have a character for each byte. */
export interface Outgoing {
  method: string;
  headers: Headers;
  body: Buffer | undefined;
  signal: AbortSignal;
  /** What the connection trusts and shows, where that is not the usual. */
  tls?: Tls | undefined;
}

/** What sends a request, or a stub of it. It follows no redirect. */
export type Send = (url: URL, outgoing: Outgoing) => Promise<Response>;

/** Sends a request. */
export const send: Send = (url, outgoing) => {
  const { method, headers, body, signal, tls } = outgoing;
  // WHATWG Fetch, Request constructor: some methods have no body, and this one is forbidden. It knows no certificates.
  const refused = tls !== undefined || method === "TRACE" || (body !== undefined && ["GET", "HEAD"].includes(method));
  return refused
    ? sendPlainly(url, outgoing)
    : fetch(url.href, { method, headers, signal, redirect: "manual", ...(body !== undefined && { body }) });
};

function sendPlainly(url: URL, { method, headers, body, signal, tls }: Outgoing): Promise<Response> {
  const request = url.protocol === "https:" ? httpsRequest : httpRequest;
  const fields = Object.fromEntries(headers);
  if (body !== undefined) fields["content-length"] = String(body.length);
  return new Promise((resolve, reject) => {
    request(url, { method, headers: fields, signal, ...tls }, (answer) => {
      resolve(responseOf(answer));
    })
      .on("error", reject)
      .end(body);
  });
}

function responseOf(answer: IncomingMessage): Response {
  const headers = new Headers();
  for (const [name, values] of Object.entries(answer.headersDistinct)) {
    for (const value of values ?? []) headers.append(name, value);
  }
  const status = answer.statusCode ?? 0;
  // WHATWG Fetch, null body status.
  const empty = [204, 205, 304].includes(status);
  if (empty) answer.resume();
  return new Response(empty ? null : (Readable.toWeb(answer) as ReadableStream), { status, headers });
}

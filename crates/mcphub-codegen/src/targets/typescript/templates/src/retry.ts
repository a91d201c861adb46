/** Answers that ask to come again later (RFC 9110, 10.2.3; RFC 6585, 4). */

import type { Answer } from "./result.ts";

/** How often a request that is safe to repeat goes again, all within the time for one answer. */
export const MAX_RETRIES = 2;
/** The longest `Retry-After` that is waited for, in seconds; a longer one is told in the error. */
export const MAX_RETRY_WAIT = 10;

const DATE = /^[A-Z][a-z]{2,8},? .*\d{2}:\d{2}:\d{2}/;

/** How long to wait before the same request goes again, in seconds; `undefined` where it does not. */
export function waitFor({ status, retryAfter }: Answer): number | undefined {
  if (![429, 503].includes(status) || retryAfter === undefined) return undefined;
  const wait = stated(retryAfter.trim());
  return wait <= MAX_RETRY_WAIT ? wait : undefined;
}

/** A number of seconds, or the time until a date; none for one that is over. `NaN` for anything else. */
function stated(retryAfter: string): number {
  if (/^\d+$/.test(retryAfter)) return Number(retryAfter);
  if (!DATE.test(retryAfter)) return NaN;
  // One of the three forms does not say that it is UTC.
  const date = Date.parse(retryAfter.endsWith(" GMT") ? retryAfter : `${retryAfter} GMT`);
  return Math.max(0, (date - Date.now()) / 1000);
}

/** Why a request failed. */

/** The innermost reason, which never holds the URL. */
export function causeOf(error: unknown): NodeJS.ErrnoException {
  let reason = error instanceof Error ? error : new Error("unknown");
  for (let depth = 0; depth < 8; depth += 1) {
    const inner: unknown = reason instanceof AggregateError ? reason.errors[0] : reason.cause;
    if (!(inner instanceof Error)) break;
    reason = inner;
  }
  return reason;
}

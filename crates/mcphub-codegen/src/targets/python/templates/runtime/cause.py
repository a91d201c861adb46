"""Why a request failed, in a few words that never hold its URL."""

from __future__ import annotations

import os


def cause(error: Exception) -> str:
    """The innermost reason."""
    inner: BaseException | None = error
    while inner is not None:
        error_group = getattr(inner, "exceptions", ())
        reason, inner = inner, error_group[0] if error_group else inner.__cause__ or inner.__context__
    if isinstance(reason, ConnectionError) and reason.errno is not None:
        return os.strerror(reason.errno).lower()
    if isinstance(reason, OSError) and reason.strerror:
        return reason.strerror.lower()
    return str(reason) or type(reason).__name__

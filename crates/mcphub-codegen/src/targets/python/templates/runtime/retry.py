"""Answers that ask to come again later (RFC 9110, 10.2.3; RFC 6585, 4)."""

from __future__ import annotations

import time
from datetime import timezone
from email.utils import parsedate_to_datetime

from .result import Answer

MAX_RETRIES = 2
"""How often a request that is safe to repeat goes again, all within the time for one answer."""
MAX_RETRY_WAIT = 10.0
"""The longest `Retry-After` that is waited for, in seconds; a longer one is told in the error."""


def wait_for(answer: Answer) -> float | None:
    """How long to wait before the same request goes again, in seconds; `None` where it does not."""
    if answer.status not in (429, 503) or answer.retry_after is None:
        return None
    wait = _stated(answer.retry_after.strip())
    return wait if wait is not None and wait <= MAX_RETRY_WAIT else None


def _stated(retry_after: str) -> float | None:
    """A number of seconds, or the time until a date; none for one that is over."""
    if retry_after.isascii() and retry_after.isdecimal():
        return float(retry_after[:10])
    try:
        date = parsedate_to_datetime(retry_after)
    except ValueError:
        return None
    # One of the three forms does not say that it is UTC.
    return max(0.0, date.replace(tzinfo=date.tzinfo or timezone.utc).timestamp() - time.time())

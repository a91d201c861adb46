"""Credentials go into a request as the operation asks for them."""

from __future__ import annotations

import base64
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

from .request import Request


@dataclass(frozen=True)
class Scheme:
    """How the API wants to be shown who calls.

    `variable` is the environment variable that holds the secret. `location` and `name` belong to
    API keys. The secret of `basic` and of `digest` is `user:password`; that of `certificate` is the
    identity of the credentials.
    """

    kind: Literal["apiKey", "basic", "bearer", "digest", "certificate"]
    variable: str
    location: Literal["header", "query", "cookie"] = "header"
    name: str = ""


@dataclass(frozen=True)
class Credentials:
    """The secrets that are configured. They do not show in `repr`."""

    headers: Mapping[str, str] = field(default_factory=dict, repr=False)
    """Headers for every call."""
    bearer: str | None = field(default=None, repr=False)
    """For every bearer scheme without a secret of its own, and for every call to an API without schemes."""
    schemes: Mapping[str, str] = field(default_factory=dict, repr=False)
    """By the name of the scheme."""
    identity: str | None = field(default=None, repr=False)
    """A client certificate and its private key: a PEM file, or its text."""
    authorities: str | None = field(default=None, repr=False)
    """Certificates of authorities to trust besides the system's: a PEM file, or its text."""

    def authorize(self, request: Request, schemes: Mapping[str, Scheme]) -> None:
        """Adds what the operation asks for, and the headers for every call.

        Of the alternatives, the first whose schemes all have a secret is used; when none is
        complete, the secrets that the first has are sent and the API decides.
        """
        complete = (names for names in request.security if all(self._secret(name, schemes) for name in names))
        for name in next(complete, next(iter(request.security), ())):
            secret = self._secret(name, schemes)
            if secret is not None:
                _apply(request, schemes[name], secret)
        if all(scheme.kind != "certificate" for scheme in schemes.values()):
            # Nothing says which operations ask for it.
            request.certified = True
        if not schemes and self.bearer is not None:
            request.set_header("authorization", f"Bearer {self.bearer}")
        for name, value in self.headers.items():
            request.set_header(name, value)

    def _secret(self, name: str, schemes: Mapping[str, Scheme]) -> str | None:
        scheme = schemes.get(name)
        if scheme is None:
            return None
        return self.schemes.get(name) or (self.bearer if scheme.kind == "bearer" else None)


def _apply(request: Request, scheme: Scheme, secret: str) -> None:
    if scheme.kind == "apiKey" and scheme.location == "query":
        request.add_query(scheme.name, secret)
    elif scheme.kind == "apiKey" and scheme.location == "cookie":
        request.add_cookie(scheme.name, secret)
    elif scheme.kind == "apiKey":
        request.set_header(scheme.name, secret)
    elif scheme.kind == "basic":
        request.set_header("authorization", f"Basic {base64.b64encode(secret.encode()).decode()}")
    elif scheme.kind == "bearer":
        request.set_header("authorization", f"Bearer {secret}")
    elif scheme.kind == "digest":
        request.login = secret
    elif scheme.kind == "certificate":
        request.certified = True

"""Certificates: whose are trusted, and which one is shown to an API that asks (RFC 8446, 4.4.2).

Each is a PEM file by its path, or the PEM text itself.
"""

from __future__ import annotations

import os
import ssl
import tempfile

import httpx2


def tls(authorities: str | None, identity: str | None) -> ssl.SSLContext:
    """Trusts what the system trusts, and these authorities; shows the certificate of an identity.

    Raises `ValueError` for what cannot be used; the message never holds a part of a key.
    """
    context = httpx2.create_ssl_context()
    if authorities is not None:
        try:
            if _is_pem(authorities):
                context.load_verify_locations(cadata=authorities)
            else:
                context.load_verify_locations(cafile=authorities)
        except (OSError, ValueError) as error:
            raise ValueError(f"has no certificates of authorities: {_why(error)}") from None
    if identity is not None:
        try:
            _show(context, identity)
        except (OSError, ValueError) as error:
            raise ValueError(f"has no certificate with its private key: {_why(error)}") from None
    return context


def _is_pem(text: str) -> bool:
    return "-----BEGIN " in text


def _show(context: ssl.SSLContext, identity: str) -> None:
    if not _is_pem(identity):
        context.load_cert_chain(identity, password="")
        return
    # OpenSSL reads files alone here; this one is for its owner, and gone at once.
    file, path = tempfile.mkstemp(suffix=".pem")
    try:
        with os.fdopen(file, "w", encoding="ascii") as pem:
            pem.write(identity)
        context.load_cert_chain(path, password="")
    finally:
        os.unlink(path)


def _why(error: Exception) -> str:
    if isinstance(error, ssl.SSLError) or not isinstance(error, OSError):
        return "it is not PEM that fits together"
    return (error.strerror or "it cannot be read").lower()

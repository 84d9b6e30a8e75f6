"""Passwords and tokens: read when they are needed, from where the site keeps them, and shown nowhere."""

from __future__ import annotations

import os
import ssl
from pathlib import Path

from edgetl.errors import UsageError
from edgetl.runtime.outputs.config import Tls

_MAX_BYTES = 4096


def read_secret(variable: str | None, file: str | None) -> str | None:
    """The secret in an environment variable or a file's first line; None when neither is named. Raises UsageError."""
    if variable is not None:
        value = os.environ.get(variable)
        if not value:
            raise UsageError(f"the environment variable {variable} holds no secret; set it for the service")
        return value
    if file is None:
        return None
    try:
        with Path(file).open("rb") as opened:
            line = opened.read(_MAX_BYTES).split(b"\n", 1)[0].strip()
        return line.decode()
    except OSError as error:
        raise UsageError(f"{file}: cannot read the secret: {error.strerror}") from error
    except UnicodeDecodeError as error:
        raise UsageError(f"{file}: the secret is not UTF-8") from error


def tls_context(tls: Tls | None) -> ssl.SSLContext:
    """A context that checks the other side's certificate and name. Raises UsageError for files that cannot be used."""
    tls = tls or Tls()
    try:
        context = ssl.create_default_context(cafile=tls.ca)
        if tls.cert is not None:
            context.load_cert_chain(tls.cert, tls.key)
    except (OSError, ssl.SSLError) as error:
        reason = getattr(error, "strerror", None) or "not a PEM file of that kind"
        raise UsageError(f"tls: {tls.ca or tls.cert}: {reason}; check `ca`, `cert` and `key`") from error
    return context

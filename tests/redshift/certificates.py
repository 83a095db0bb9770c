"""TLS on loopback, for clients that insist on it."""

import ssl
from pathlib import Path

from tests.authority import Authority


def loopback(folder: Path) -> tuple[ssl.SSLContext, Path]:
    """What a server answers with, and the file that its clients trust (SSL_CERT_FILE)."""
    trusted, certificate, key = (folder / f"redshift.{kind}" for kind in ("pem", "crt", "key"))
    authority = Authority("redshift")
    trusted.write_bytes(authority.pem)
    authority.sign(certificate, key)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate, key)
    return context, trusted

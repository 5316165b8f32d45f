"""The certificate of a Dask cluster that is started for one run."""

from __future__ import annotations

import datetime
import importlib
from typing import Any

__all__ = ["run_security"]

_NAME = "imuspec"
_SLOW_CLOCK = datetime.timedelta(days=1)
_LONGEST_RUN = datetime.timedelta(days=366)


def run_security() -> Any:
    """Return a ``distributed.Security`` with a new key and certificate, which every process of the cluster has to show.

    The certificate is valid from a day before now, since the clocks of hosts differ: to a host whose clock is behind, a
    certificate that is valid from now on is not valid yet.
    """
    from cryptography import x509
    from cryptography.hazmat.primitives import hashes, serialization
    from cryptography.hazmat.primitives.asymmetric import ec
    from cryptography.x509.oid import NameOID

    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, _NAME)])
    now = datetime.datetime.now(tz=datetime.UTC)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .add_extension(x509.SubjectAlternativeName([x509.DNSName(_NAME)]), critical=False)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - _SLOW_CLOCK)
        .not_valid_after(now + _LONGEST_RUN)
        .sign(key, hashes.SHA256())
    )
    pem = serialization.Encoding.PEM
    key_text = key.private_bytes(pem, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()).decode()
    text = certificate.public_bytes(pem).decode()
    roles = ("client", "scheduler", "worker")
    shown = {f"tls_{role}_{part}": value for role in roles for part, value in (("key", key_text), ("cert", text))}
    return importlib.import_module("distributed").Security(require_encryption=True, tls_ca_file=text, **shown)

"""The certificate that a Dask cluster of one run has."""

from __future__ import annotations

import datetime
import ssl
from typing import Any

import pytest

pytest.importorskip("distributed", reason="the extra cluster")
x509 = pytest.importorskip("cryptography.x509", reason="the extra cluster")

from imuspec.cluster.certificate import run_security  # noqa: E402  # behind the checks for its packages


def _handshake(client: ssl.SSLContext, server: ssl.SSLContext) -> None:
    """Let both ends shake hands in memory."""
    to_client, to_server = ssl.MemoryBIO(), ssl.MemoryBIO()
    ends = [client.wrap_bio(to_client, to_server), server.wrap_bio(to_server, to_client, server_side=True)]
    for _ in range(4):
        for end in ends:
            try:
                end.do_handshake()
            except ssl.SSLWantReadError:
                continue
    ends[0].write(b"x")
    assert ends[1].read(1) == b"x"


def _contexts(security: Any) -> tuple[ssl.SSLContext, ssl.SSLContext]:
    return security.get_connection_args("client")["ssl_context"], security.get_listen_args("scheduler")["ssl_context"]


def test_hosts_whose_clocks_are_hours_apart_accept_the_certificate_of_a_run() -> None:
    certificate = x509.load_pem_x509_certificate(run_security().tls_scheduler_cert.encode())
    now, half_a_day = datetime.datetime.now(tz=datetime.UTC), datetime.timedelta(hours=12)
    assert certificate.not_valid_before_utc < now - half_a_day
    assert certificate.not_valid_after_utc > now + datetime.timedelta(days=300)


def test_processes_of_one_run_trust_each_other_and_no_process_of_another_run() -> None:
    security, other = run_security(), run_security()
    _handshake(*_contexts(security))
    with pytest.raises(ssl.SSLError):
        _handshake(_contexts(other)[0], _contexts(security)[1])

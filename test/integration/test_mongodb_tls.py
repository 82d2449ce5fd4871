"""TLS towards MongoDB: the options of the connection string are the driver's, and a wrong certificate is said in words."""

from __future__ import annotations

import pytest

import certificates
from deadline import until

DOCUMENT = {"workspace_id": "w1", "workflow_id": "f1", "level": "INFO", "message": "over TLS"}


@pytest.fixture
def certificate(tmp_path):
    return certificates.make(tmp_path, "mongod")


@pytest.fixture
def node(more_mongod, certificate, tmp_path):
    """It takes both kinds of connections, so that the test itself needs no certificates."""
    both = tmp_path / "both.pem"
    both.write_text(certificate.chain.read_text() + certificate.key.read_text())
    return more_mongod("--tlsMode", "allowTLS", "--tlsCertificateKeyFile", str(both),
                       "--tlsCAFile", str(certificate.chain), "--tlsAllowConnectionsWithoutCertificates")


def tls_connections(node) -> int:
    counters = node.client.admin.command("serverStatus")["transportSecurity"]
    return sum(int(count) for version, count in counters.items() if version != "unknown")


def test_tails_over_tls(node, certificate, launch, hub):
    uri = f"{node.uri}&tls=true&tlsCAFile={certificate.chain}"
    server = launch({"mongodb": {"uri": uri}, "sources": [{"name": "logs", "database": "shop"}]})
    stream = hub.open(server.port, {"channels": "logs:*"})
    stream.wait_ready()
    node.client.shop.etl.insert_one(dict(DOCUMENT))
    assert stream.wait_events(1)[0].json["log_data"]["message"] == "over TLS"
    assert tls_connections(node) > 0


def test_a_certificate_of_somebody_else(node, launch, tmp_path):
    """Not connected to, and said; nothing of the connection string in the log."""
    stranger = certificates.make(tmp_path, "stranger")
    uri = f"{node.uri}&tls=true&tlsCAFile={stranger.chain}"
    server = launch({"mongodb": {"uri": uri}, "sources": [{"name": "logs", "database": "shop"}]}, healthy=False)
    until(lambda: any("TLS handshake failed" in line or "certificate" in line for line in server.lines), "it says so")
    assert server.health()["sources"][0]["state"] != "streaming"

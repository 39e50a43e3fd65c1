"""Which certificate `up` serves with."""

import ssl
from pathlib import Path

import pytest
from cryptography import x509

from services.cli.stack.certificate import CERTIFICATE, KEY, certificate_for, self_signed
from services.cli.stack.errors import CannotRun


@pytest.fixture(autouse=True)
def nothing_named(monkeypatch: pytest.MonkeyPatch) -> None:
    """No certificate in the environment."""
    monkeypatch.delenv(CERTIFICATE, raising=False)
    monkeypatch.delenv(KEY, raising=False)


def test_loopback_needs_none(tmp_path: Path) -> None:
    assert certificate_for("127.0.0.1", tmp_path, secure=False) == (None, None)


@pytest.mark.parametrize("host", ["192.0.2.7", "meet.example.org"])
def test_a_self_signed_one_names_the_host_and_its_key_is_private(tmp_path: Path, host: str) -> None:
    certificate, key = self_signed(tmp_path / "tls", host)
    names = x509.load_pem_x509_certificate(certificate.read_bytes()).extensions.get_extension_for_class(
        x509.SubjectAlternativeName
    )
    assert host in str(names.value)
    assert key.stat().st_mode & 0o077 == 0
    ssl.create_default_context(ssl.Purpose.CLIENT_AUTH).load_cert_chain(certificate, key)


def test_a_self_signed_one_is_made_once(tmp_path: Path) -> None:
    first = self_signed(tmp_path, "192.0.2.7")[0].read_bytes()
    assert self_signed(tmp_path, "192.0.2.7")[0].read_bytes() == first


def test_the_named_one_is_taken(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    certificate, key = self_signed(tmp_path, "meet.example.org")
    monkeypatch.setenv(CERTIFICATE, str(certificate))
    monkeypatch.setenv(KEY, str(key))
    assert certificate_for("192.0.2.7", tmp_path / "other", secure=True) == (certificate, key)


def test_a_named_one_without_its_key_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(CERTIFICATE, str(self_signed(tmp_path, "a")[0]))
    with pytest.raises(CannotRun, match="must both name a file"):
        certificate_for("192.0.2.7", tmp_path, secure=True)

"""The gateway's certificate: the one that is named, else a self-signed one for an address that is not loopback.

A browser gives its camera to secure pages only, and 127.0.0.1 counts as one.
"""

import datetime
import ipaddress
import os
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from services.cli.stack.errors import CannotRun

_VALID = datetime.timedelta(days=365)


CERTIFICATE, KEY = "DOORDARSHAN_TLS_CERTIFICATE", "DOORDARSHAN_TLS_KEY"


def certificate_for(host: str, directory: Path, *, secure: bool) -> tuple[Path | None, Path | None]:
    """Return (certificate, key) to serve HTTPS with, or (None, None). Raises CannotRun when only one is named, or not there."""
    named = [os.environ.get(name) for name in (CERTIFICATE, KEY)]
    if any(named):
        if not all(path and Path(path).is_file() for path in named):
            raise CannotRun(f"{CERTIFICATE} and {KEY} must both name a file")
        return Path(named[0] or ""), Path(named[1] or "")
    return self_signed(directory, host) if secure else (None, None)


def self_signed(directory: Path, host: str) -> tuple[Path, Path]:
    """Return (certificate, key) files for a name or an IP address; made once, and again a month before they end."""
    certificate, key = directory / f"{host}.crt", directory / f"{host}.key"
    if not (certificate.exists() and key.exists() and _still_good(certificate)):
        _make(certificate, key, host)
    return certificate, key


def _still_good(certificate: Path) -> bool:
    ends = x509.load_pem_x509_certificate(certificate.read_bytes()).not_valid_after_utc
    return ends - datetime.datetime.now(datetime.UTC) > datetime.timedelta(days=30)


def _subject(host: str) -> x509.GeneralName:
    try:
        return x509.IPAddress(ipaddress.ip_address(host))
    except ValueError:
        return x509.DNSName(host)


def _make(certificate: Path, key: Path, host: str) -> None:
    private = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "Doordarshan Kendra")])
    now = datetime.datetime.now(datetime.UTC)
    signed = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(private.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - datetime.timedelta(hours=1))
        .not_valid_after(now + _VALID)
        .add_extension(x509.SubjectAlternativeName([_subject(host)]), critical=False)
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH]), critical=False)
        .sign(private, hashes.SHA256())
    )
    key.parent.mkdir(parents=True, exist_ok=True)
    descriptor = os.open(key, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(descriptor, "wb") as file:
        encoding, form = serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8
        file.write(private.private_bytes(encoding, form, serialization.NoEncryption()))
    certificate.write_bytes(signed.public_bytes(serialization.Encoding.PEM))

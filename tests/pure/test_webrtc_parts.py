"""Each private part of aiortc that `sfu/webrtc.py` relies on, by name: a new version that lacks one fails here first."""

import inspect

from aiortc import rtcdtlstransport
from aiortc.rtcdtlstransport import RTCCertificate, RTCDtlsTransport

from sfu.packets.srtp import PROFILES
from sfu.webrtc import Certificate


def test_the_private_parts_are_there() -> None:
    for method in ("_setup_srtp", "_set_role", "_set_state", "_validate_peer_identity", "stop", "start"):
        assert callable(getattr(RTCDtlsTransport, method))
    source = inspect.getsource(RTCDtlsTransport)
    for attribute in (
        "self._srtp_profiles",
        "self._ssl",
        "self._role",
        "self.transport._recv()",
        "self.transport._send(",
    ):
        assert attribute in source
    assert rtcdtlstransport.State.FAILED
    assert {"sha-256"} <= set(rtcdtlstransport.X509_DIGEST_ALGORITHMS)


def test_a_certificate_makes_a_context_for_each_transport_unless_it_is_kept() -> None:
    assert callable(RTCCertificate._create_ssl_context)
    assert "_create_ssl_context(\n                srtp_profiles=self._srtp_profiles\n" in inspect.getsource(
        RTCDtlsTransport.start
    )


def test_the_peer_is_verified_before_keys_are_made() -> None:
    source = inspect.getsource(RTCDtlsTransport.start)
    assert source.index("_validate_peer_identity") < source.index("_setup_srtp")


def test_every_profile_that_dtls_may_choose_is_known_to_the_plane() -> None:
    for profile in (
        rtcdtlstransport.SRTP_AEAD_AES_128_GCM,
        rtcdtlstransport.SRTP_AEAD_AES_256_GCM,
        rtcdtlstransport.SRTP_AES128_CM_SHA1_80,
    ):
        assert PROFILES[profile.openssl_profile.decode()] == profile.libsrtp_profile


def test_a_certificate_has_one_fingerprint_which_is_its_own() -> None:
    certificate = Certificate()
    (fingerprint,) = certificate.fingerprints()
    assert fingerprint.algorithm == "sha-256"
    assert isinstance(certificate.own, RTCCertificate)
    assert Certificate().fingerprints() != certificate.fingerprints()

"""A self-signed certificate with which the parts of one server know each other, and nobody else."""

from pathlib import Path

from infra.embedded.set_file import write_private

CERTIFICATE, KEY = "certificate.pem", "certificate-key.pem"
"""Their files. The certificate is its own authority, for servers and clients alike."""


def ensure_certificate(folder: Path) -> None:
    """Makes them in a folder when they aren't there; both are readable by their owner only."""
    if not (folder / CERTIFICATE).exists():
        from infra.embedded.certificate_maker import make_certificate  # noqa: PLC0415 - once in the life of a set

        certificate, private = make_certificate()
        write_private(folder / KEY, private)
        write_private(folder / CERTIFICATE, certificate)

"""A self-signed certificate with which the parts of one server authenticate each other."""

from pathlib import Path

from infra.embedded.set_file import write_private

CERTIFICATE, KEY = "certificate.pem", "certificate-key.pem"
"""File names. The certificate is its own CA, and serves as server and client certificate."""


def ensure_certificate(folder: Path) -> None:
    """Makes both files in a folder unless they exist, readable by their owner only."""
    if not (folder / CERTIFICATE).exists():
        from infra.embedded.certificate_maker import make_certificate  # noqa: PLC0415 - once in the life of a set

        certificate, private = make_certificate()
        write_private(folder / KEY, private)
        write_private(folder / CERTIFICATE, certificate)

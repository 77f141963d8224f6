"""The public keys of upload grants, as storage fetches them."""

import json
from datetime import UTC, datetime
from pathlib import Path
from uuid import UUID

import jwt

from infra.embedded.keys import make_private_key, public_jwks
from services.generation.workers.upload_grants import GrantSigner
from services.storage.domain.grant import grant_of
from tests.unit.generation.builders import USER, scheduled_step


def test_retired_keys_are_published_behind_the_one_that_signs(tmp_path: Path) -> None:
    signing, retired = make_private_key(), make_private_key()
    key, earlier = tmp_path / "grants.jwk", tmp_path / "retired.json"
    key.write_text(json.dumps(signing))
    earlier.write_text(json.dumps(public_jwks(retired)))
    alone = GrantSigner(str(key), "http://storage.test", "emprops")
    both = GrantSigner(str(key), "http://storage.test", "emprops", retired_jwks_file=str(earlier))
    assert [entry["kid"] for entry in alone.jwks()["keys"]] == [signing["kid"]]
    assert [entry["kid"] for entry in both.jwks()["keys"]] == [signing["kid"], retired["kid"]]
    assert "d" not in json.dumps(both.jwks()).split('"')


def test_a_grant_states_whose_files_may_be_read(tmp_path: Path) -> None:
    key = tmp_path / "grants.jwk"
    key.write_text(json.dumps(make_private_key()))
    signer = GrantSigner(str(key), "http://storage.test", "emprops")
    upload = signer.grant(scheduled_step(), {7: USER}, deadline=datetime(2099, 1, 1, tzinfo=UTC))
    claims = jwt.decode(upload.token, jwt.PyJWKSet.from_dict(signer.jwks()).keys[0], ["EdDSA"], audience="emprops")
    assert claims["grant"]["read_files"] == {"7": str(USER)}
    assert grant_of(claims, UUID(claims["sub"])).read_files == {"7": USER}

"""The public keys of upload grants, as storage fetches them."""

import json
from pathlib import Path

from infra.embedded.keys import make_private_key, public_jwks
from services.generation.workers.upload_grants import GrantSigner


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

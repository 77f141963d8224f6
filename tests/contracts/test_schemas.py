"""The contracts as they are today against the contracts as they were recorded."""

import pytest

from tests.contracts import golden, schemas
from tests.contracts.catalogue import owners
from tests.contracts.record import MEND, RECORD, findings


@pytest.mark.parametrize("owner", owners())
def test_nothing_breaks_old_history_or_old_readers(owner: str) -> None:
    """Nothing that was stored or sent has become unreadable, and nothing written today is unreadable to yesterday."""
    breaks = [str(finding) for finding in findings(owner) if finding.breaks]
    assert not breaks, "\n".join([f"shared/contracts of {owner}:", *breaks, "", MEND])


@pytest.mark.parametrize("owner", owners())
def test_everything_that_was_added_is_recorded(owner: str) -> None:
    """From the day that it exists: what is not recorded is not protected."""
    added = [str(finding) for finding in findings(owner) if not finding.breaks]
    assert not added, "\n".join([f"shared/contracts of {owner}:", *added, "", RECORD])


def test_an_owner_stays() -> None:
    """A service's history does not go away with its module."""
    recorded = {path.stem for path in schemas.FOLDER.glob("*.json")}
    recorded |= {path.name for path in golden.FOLDER.iterdir()} - {"envelopes"}
    assert recorded == set(owners()), f"recorded are {sorted(recorded)}. {RECORD}"


def test_golden_bytes_and_schemas_are_of_the_same_types() -> None:
    """Neither is recorded, or lost, without the other."""
    for owner in owners():
        assert sorted(schemas.read(owner)) == golden.recorded(owner), owner

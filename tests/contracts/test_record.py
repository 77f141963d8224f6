"""`python -m tests.contracts.record` records what is new, and nothing that breaks."""

from pathlib import Path

import pytest
from msgspec.json import encode
from msgspec.structs import replace

from tests.contracts import envelopes, golden, record, schemas
from tests.contracts.catalogue import contracts, owners
from tests.contracts.made_up import event, struct


@pytest.fixture(autouse=True)
def elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """What is recorded here does not touch what is recorded."""
    monkeypatch.setattr(golden, "FOLDER", tmp_path / "golden")
    monkeypatch.setattr(schemas, "FOLDER", tmp_path / "schemas")
    return tmp_path


def files(folder: Path) -> dict[Path, bytes]:
    return {path: path.read_bytes() for path in folder.rglob("*.json")}


def test_recording_twice_writes_once(elsewhere: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Everything at first, and the second time nothing."""
    assert record.main([]) == 0
    recorded = files(elsewhere)
    assert {path.stem for path in recorded} >= {*owners(), *(contract.name for contract in contracts())}
    capsys.readouterr()
    assert record.main([]) == 0
    assert files(elsewhere) == recorded
    assert capsys.readouterr().out == "Everything is recorded already.\n"


def test_what_breaks_is_not_recorded(elsewhere: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """It says which field of which type, and what to do instead."""
    assert record.main([]) == 0
    entries = schemas.read("credits")
    entries["hold_placed.v1"]["schema"]["properties"]["note"] = {"type": "string"}
    schemas.write("credits", entries)
    recorded = files(elsewhere)
    assert record.main([]) == 1
    assert files(elsewhere) == recorded
    errors = capsys.readouterr().err
    assert "credits/hold_placed.v1, field note: is gone, or has another name" in errors
    assert record.MEND in errors


def test_a_type_that_is_stored_nowhere_may_change_its_mind(elsewhere: Path) -> None:
    """Forgotten by name and recorded again; no other type is touched."""
    assert record.main([]) == 0
    recorded = files(elsewhere)
    entries = schemas.read("credits")
    entries["hold_placed.v1"]["schema"]["properties"]["note"] = {"type": "string"}
    schemas.write("credits", entries)
    golden.write("credits", "hold_placed.v1", {"minimal": b"{}", "full": b"{}"})
    assert record.main(["--again", "credits/hold_placed.v1"]) == 0
    assert files(elsewhere) == recorded


def test_forgetting_what_was_never_recorded_is_a_slip() -> None:
    """And says how types are named."""
    with pytest.raises(SystemExit, match="credits/hold_placed"):
        record.main(["--again", "hold_placed"])


def test_a_golden_example_is_added_when_a_field_was() -> None:
    """The old ones stay as they are: they are what was stored then."""
    before, after = event(("name", str)), event(("name", str), ("size", int, 0))
    examples = golden.missing(before, {})
    assert list(examples) == ["minimal", "full"]
    assert golden.missing(before, examples) == {}
    assert golden.unseen_fields(after, examples) == ["size"]
    assert list(golden.missing(after, examples)) == ["full.2"]


def test_a_field_inside_a_part_is_missed_too() -> None:
    """At any depth, and in lists as well."""
    before = event(("parts", list[struct("Part", ("name", str))]))  # type: ignore[misc]  # a type made at run time
    after = event(("parts", list[struct("Part", ("name", str), ("size", int | None, None))]))  # type: ignore[misc]  # a type made at run time
    assert golden.unseen_fields(after, golden.missing(before, {})) == ["parts[].size"]


def test_a_header_that_was_added_is_recorded() -> None:
    """The event and the headers that it had stay as they were."""
    assert record.main([]) == 0
    now = envelopes.read("credits")
    before = replace(now, headers={name: value for name, value in now.headers.items() if name != "ce-actor"})
    envelopes.write("credits", before)
    assert envelopes.record("credits")
    assert envelopes.read("credits").headers == now.headers
    assert bytes(envelopes.read("credits").data) == bytes(now.data)
    assert not envelopes.record("credits"), "it is recorded already"


def test_bytes_survive_the_file(elsewhere: Path) -> None:
    """To the last space, as no JSON library would write them."""
    examples = {"minimal": b'{ "a":1.0,"b":"\\u00e9" }', "full": encode({"a": "é\n"})}
    golden.write("things", "thing_done.v1", examples)
    assert golden.read("things", "thing_done.v1") == examples

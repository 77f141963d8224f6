"""`.venv/bin/python -m tests.contracts.record`: records additions to the contracts; refuses incompatible changes.

Writes golden examples of new types and fields, and today's schemas. Recorded examples are never changed.
"""

import argparse
import sys
from collections.abc import Sequence

from tests.contracts import envelopes, golden, schemas
from tests.contracts.catalogue import METADATA, WORK, codec_of, contracts, event_modules, owners
from tests.contracts.compatibility import Finding, compare

COMMAND = ".venv/bin/python -m tests.contracts.record"
RECORD = f"This is compatible, but must be recorded: run `{COMMAND}` and commit what it writes."
MEND = """\
This is not compatible with stored events or with readers of the previous release. Undo it, or add a new version:
  1. give the changed class a tag with the next version (`….v2`) and list it in EVENTS;
  2. keep the old class, or give UPCASTERS a function from the old tag to the next version;
  3. run `.venv/bin/python -m tests.contracts.record`: it records the new version, and the old one's golden bytes stay.
A field may be added at any time if it has a default. A type that is new on your branch, and stored nowhere, can be
recorded again: `.venv/bin/python -m tests.contracts.record --again <owner>/<type>`.
More in tests/contracts/README.md."""


def upcast_types(owner: str) -> set[str]:
    """The types that are no longer in the owner's EVENTS and whose golden bytes it still reads."""
    if owner in {WORK, METADATA}:
        return set()
    codec = codec_of(owner)
    retired = set(golden.recorded(owner)) - set(codec.events)
    return {name for name in retired if golden.still_read(codec, name, golden.read(owner, name))}


def findings(owner: str) -> list[Finding]:
    """The differences between an owner's contracts as recorded and today."""
    return compare(schemas.read(owner), today(owner), upcast_types(owner))


def today(owner: str) -> schemas.Recorded:
    return {contract.name: schemas.describe(contract) for contract in contracts() if contract.owner == owner}


def record() -> list[str]:
    """Writes all additions, and returns a sentence for each. Call it only if no finding breaks."""
    sentences = []
    for contract in contracts():
        examples = golden.read(contract.owner, contract.name)
        if added := golden.missing(contract, examples):
            golden.write(contract.owner, contract.name, {**examples, **added})
            sentences.append(f"{contract}: recorded the examples {', '.join(added)}")
    for owner in owners():
        for name in sorted(upcast_types(owner)):
            examples = golden.read(owner, name)
            if added := golden.missing_upcasts(codec_of(owner), name, examples):
                golden.write(owner, name, {**examples, **added})
                sentences.append(f"{owner}/{name}: recorded what it is upcast to")
        before = schemas.read(owner)
        if before != (after := {**before, **today(owner)}):
            schemas.write(owner, after)
            sentences.append(f"{owner}: recorded the schemas")
    fresh = [owner for owner in event_modules() if envelopes.record(owner)]
    return sentences + [f"{owner}: recorded the headers of one of its events" for owner in fresh]


def forget(name: str) -> None:
    """Deletes the record of `owner/type`. Only for a type that was never stored or sent."""
    owner, _, contract = name.partition("/")
    entries = schemas.read(owner)
    if entries.pop(contract, None) is None:
        raise SystemExit(f"{name} is not recorded: give <owner>/<type>, such as credits/hold_placed.v1")
    schemas.write(owner, entries)
    golden.path_of(owner, contract).unlink(missing_ok=True)


def main(argv: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog=COMMAND, description=(__doc__ or "").partition("\n\n")[2])
    parser.add_argument(
        "--again",
        action="append",
        default=[],
        metavar="OWNER/TYPE",
        help="delete the record of a type first: only if the type is new on your branch, and stored nowhere",
    )
    for name in parser.parse_args(argv).again:
        forget(name)
    breaks = [f"{owner}/{finding}" for owner in owners() for finding in findings(owner) if finding.breaks]
    if breaks:
        print("\n".join(["Nothing was recorded. Incompatible changes:", *breaks, "", MEND]), file=sys.stderr)
        return 1
    print("\n".join(record()) or "Everything is recorded already.")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())

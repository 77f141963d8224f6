"""`.venv/bin/python -m tests.contracts.record`: records what was added to the contracts; never what breaks them.

Writes golden examples of new types and fields, and the schemas as they are now. What is recorded already stays.
"""

import argparse
import sys
from collections.abc import Sequence

from tests.contracts import envelopes, golden, schemas
from tests.contracts.catalogue import METADATA, WORK, codec_of, contracts, event_modules, owners
from tests.contracts.compatibility import Finding, compare

COMMAND = ".venv/bin/python -m tests.contracts.record"
RECORD = f"Nothing breaks, but it has to be recorded: run `{COMMAND}` and commit what it writes."
MEND = """\
Old history or old readers can't take this. Undo it, or keep the old type as it is and say the new thing with a new one:
  1. give the changed class a tag with the next version (`….v2`) and list it in EVENTS;
  2. keep the old class, or give UPCASTERS a function from the old tag to the next version;
  3. run `.venv/bin/python -m tests.contracts.record`: it records the new version, and the old one's golden bytes stay.
A field may be added at any time if it has a default. A type that is stored nowhere yet, being new on your branch, is
recorded afresh with `.venv/bin/python -m tests.contracts.record --again <owner>/<type>`.
More in tests/contracts/README.md."""


def upcast_types(owner: str) -> set[str]:
    """The types that are no longer in the owner's EVENTS and whose golden bytes it still reads."""
    if owner in {WORK, METADATA}:
        return set()
    codec = codec_of(owner)
    retired = set(golden.recorded(owner)) - set(codec.events)
    return {name for name in retired if golden.still_read(codec, name, golden.read(owner, name))}


def findings(owner: str) -> list[Finding]:
    """What differs between an owner's contracts as recorded and as they are."""
    return compare(schemas.read(owner), today(owner), upcast_types(owner))


def today(owner: str) -> schemas.Recorded:
    return {contract.name: schemas.describe(contract) for contract in contracts() if contract.owner == owner}


def record() -> list[str]:
    """Writes what is new, and says what that was. Nothing may break when this is called."""
    said = []
    for contract in contracts():
        examples = golden.read(contract.owner, contract.name)
        if added := golden.missing(contract, examples):
            golden.write(contract.owner, contract.name, {**examples, **added})
            said.append(f"{contract}: recorded the examples {', '.join(added)}")
    for owner in owners():
        for name in sorted(upcast_types(owner)):
            examples = golden.read(owner, name)
            if added := golden.missing_upcasts(codec_of(owner), name, examples):
                golden.write(owner, name, {**examples, **added})
                said.append(f"{owner}/{name}: recorded what it is upcast to")
        before = schemas.read(owner)
        if before != (after := {**before, **today(owner)}):
            schemas.write(owner, after)
            said.append(f"{owner}: recorded the schemas")
    fresh = [owner for owner in event_modules() if envelopes.record(owner)]
    return said + [f"{owner}: recorded the headers of one of its events" for owner in fresh]


def forget(name: str) -> None:
    """Drops what is recorded of `owner/type`. Only for a type that nobody has stored or sent yet."""
    owner, _, contract = name.partition("/")
    known = schemas.read(owner)
    if known.pop(contract, None) is None:
        raise SystemExit(f"nothing is recorded of {name}: say <owner>/<type>, such as credits/hold_placed.v1")
    schemas.write(owner, known)
    golden.path_of(owner, contract).unlink(missing_ok=True)


def main(argv: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog=COMMAND, description=(__doc__ or "").partition("\n\n")[2])
    parser.add_argument(
        "--again",
        action="append",
        default=[],
        metavar="OWNER/TYPE",
        help="forget what is recorded of a type first: only while it is on your own branch, and stored nowhere",
    )
    for name in parser.parse_args(argv).again:
        forget(name)
    breaks = [f"{owner}/{each}" for owner in owners() for each in findings(owner) if each.breaks]
    if breaks:
        print("\n".join(["Nothing was recorded. These break:", *breaks, "", MEND]), file=sys.stderr)
        return 1
    print("\n".join(record()) or "Everything is recorded already.")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())

"""Work grows with its input: twice the input takes at most about twice the steps, in everything that takes users' data.

Steps are counted, not seconds: lines of Python, and calls into C. What one such call does is not seen, so the inputs
are chosen for what once took steps or bytes by the square; the copying of text has a test of its own.
"""

import contextlib
import time
from collections.abc import Callable
from decimal import Decimal
from typing import Any
from uuid import UUID

import pytest

from services.collections.domain import chains
from services.collections.domain.artwork.tokens import Token
from services.collections.domain.artwork.traits import traits_of
from services.collections.domain.chains.offer import Offer
from services.collections.domain.collection import instructions
from services.collections.domain.collection.components import with_components
from services.collections.domain.collection.receivers import Share, checked_receivers
from services.collections.domain.collection.variable_table import table_of, variables_of
from services.collections.domain.package import commands as package
from services.collections.domain.package import state as package_state
from services.generation.domain.payload.draws import choose, draw
from services.generation.domain.payload.prompts import substitute_prompt
from services.generation.domain.payload.substitution import needs, resolve
from services.generation.domain.planning.job_plan import JobRequest, plan_job
from services.generation.domain.planning.steps import StepOwner, plan_steps
from shared.contracts.collections import ArtworkFile, PackagedDocument, Trait
from shared.contracts.generation_input import read
from shared.contracts.problem import Problem
from shared.contracts.references import faults, rewrite
from tests.support.steps import growth
from tests.unit.generation.builders import DEFINITIONS, JOB, data, pick, step, text

Work = Callable[[], Any]
NUMBER = {"name": "n", "type": "number", "value": 7}
AT_MOST = 2.2


def attempted(work: Work) -> Work:
    """Also of what is refused: the refusal must be no more work than the input."""

    def tried() -> None:
        with contextlib.suppress(Problem):
            work()

    return tried


def reading(make: Callable[[int], dict[str, Any]]) -> Callable[[int], Work]:
    def work(size: int) -> Work:
        document = make(size)
        return attempted(lambda: read(document))

    return work


def planning(make: Callable[[int], dict[str, Any]]) -> Callable[[int], Work]:
    def work(size: int) -> Work:
        generation_input = read(make(size))
        return attempted(lambda: plan_job(generation_input, DEFINITIONS, JobRequest(generations=1), JOB, ["h"]))

    return work


def prompt(size: int) -> dict[str, Any]:
    return data(step(1, prompt="{{n}}" * size), variables=[NUMBER])


def circle(size: int) -> dict[str, Any]:
    return data(*(step(number + 1, a={"$ref": (number + 1) % size + 1}) for number in range(size)))


def rich(size: int) -> dict[str, Any]:
    nodes = [{"type": "p", "content": [{"text": "{{n}} "}, [{"attrs": {"$ref": 2}}]]} for _ in range(size)]
    return {"type": "doc", "content": nodes}


def drawing(size: int) -> Work:
    generation_input = read(
        data(step(1, prompt="x"), variables=[pick(f"v{number}", *map(str, range(9))) for number in range(size)])
    )
    return lambda: draw(generation_input.variables, {}, "hash")


def drawing_one(size: int) -> Work:
    """Of many values: looked up, not searched."""
    generation_input = read(data(step(1, prompt="x"), variables=[pick("v", *map(str, range(size + 1)))]))
    return lambda: [draw(generation_input.variables, {}, str(number)) for number in range(size)]


def choosing(size: int) -> Work:
    generation_input = read(
        data(step(1, prompt="x"), variables=[pick(f"v{number}", "a", "b") for number in range(size)])
    )
    chosen = {f"v{number}": "b" for number in range(size)} | {f"w{number}": "b" for number in range(size)}
    return attempted(lambda: choose(generation_input.variables, chosen))


def substituting(size: int) -> Work:
    return lambda: resolve(substitute_prompt(rich(size), {"n": 1}), {2: [text("done")]})


def planning_steps(size: int) -> Work:
    generation_input = read(data(*(step(number + 1, prompt="{{n}}") for number in range(size)), variables=[NUMBER]))
    return lambda: plan_steps(generation_input, DEFINITIONS, {"n": 1}, "hash", StepOwner(UUID(int=2), JOB, UUID(int=1)))


def table(size: int) -> Work:
    variables = [pick(f"v{number}", "a", "b", "c") for number in range(size)]
    return lambda: variables_of(table_of(variables))


def wrong_table(size: int) -> Work:
    return attempted(lambda: variables_of("name,value\n" + "a,b\n,c\n" * size))


def receiving(size: int) -> Work:
    shares = [Share(f"0x{number + 1:040x}", Decimal("0.01"), "artist", name="n") for number in range(size)]
    return attempted(lambda: checked_receivers(shares, "BASE", "/receivers"))


def packaging(size: int) -> Work:
    documents = [PackagedDocument(f"{number}.json", "x" * 1000) for number in range(size)]
    ids = (UUID(int=1), UUID(int=2), UUID(int=3))
    return lambda: package.decide(package.package_request(*ids, "t", [], [], documents), package_state.NOTHING)


def metadata(size: int) -> Work:
    files = [
        ArtworkFile(number, f"https://x.test/{number}", f"a/{number}", "text/html", "", 1) for number in range(size)
    ]
    traits = [Trait(f"t{number}", number) for number in range(size)]
    offer = Offer(title="x" * size, description="y" * size, images=["z"] * size)
    token = Token(number=1, gid=None, hash="", traits=traits, files=files, cids={}, made_at=None)
    return lambda: [
        (chains.collection_metadata(chain, offer), chains.token_metadata(chain, offer, token))
        for chain in chains.CHAINS
    ]


def traits(size: int) -> Work:
    declarations = [pick(f"v{number}", *map(str, range(20))) for number in range(size)]
    values = {item["name"]: "19" for item in declarations}
    return lambda: traits_of(values, declarations)


def components(size: int) -> Work:
    document = data(*(step(number + 1, a={"$ref": 1}, prompt="{{$ref:1}}" * 5) for number in range(size)))
    return lambda: with_components(document, range(10**6, 10**6 + size))


def much_data(size: int) -> dict[str, Any]:
    return data(step(1, prompt="x", z=["{{n}}"] * size), variables=[NUMBER])


def checking(size: int) -> Work:
    document = data(step(1, z=["\0"] * size))
    return attempted(lambda: instructions.check(document, "/data"))


OPERATIONS: dict[str, tuple[int, Callable[[int], Work]]] = {
    "a prompt of variables is read": (2_000, reading(prompt)),
    "a prompt of unknown variables is refused": (2_000, reading(lambda n: data(step(1, prompt="{{x}}" * n)))),
    "a prompt of different unknown variables is refused": (
        1_000,
        reading(lambda n: data(step(1, prompt="".join(f"{{{{x{number}}}}}" for number in range(n))))),
    ),
    "a list is read": (5_000, reading(lambda n: data(step(1, z=["x"] * n)))),
    "a long key before many values is read": (1_000, reading(lambda n: data(step(1, **{"k" * 50_000: ["x"] * n})))),
    "a deep payload is refused": (2_000, reading(lambda n: data(step(1, a=_deep(n))))),
    "references are read": (1_000, reading(lambda n: data(step(1), step(2, a=[{"$ref": 1}] * n)))),
    "references to nothing are refused": (1_000, reading(lambda n: data(step(1, **{"k" * 9_000: [{"$ref": 9}] * n})))),
    "a circle is refused": (90, reading(circle)),
    "a great many references are on circles": (50, lambda n: lambda: faults(_dense(n))),
    "variables are read": (90, reading(lambda n: data(step(1), variables=[pick(f"v{e}", "a") for e in range(n)]))),
    "values are read": (3_000, reading(lambda n: data(step(1), variables=[pick("v", *map(str, range(n)))]))),
    "wrong values are refused": (1_000, reading(lambda n: data(step(1), variables=[pick("v", *range(n))]))),
    "hashes are read": (3_000, reading(lambda n: data(step(1), hashes=["x"] * n))),
    "a job is planned": (1_000, planning(lambda n: data(step(1, prompt=rich(n)), step(2), variables=[NUMBER]))),
    "a job of many steps is planned": (90, planning(lambda n: data(*(step(e + 1, prompt="x") for e in range(n))))),
    "a job of much data is planned": (3_000, planning(much_data)),
    "a generation is drawn": (90, drawing),
    "a generation is drawn from many values": (1_000, drawing_one),
    "variables are chosen": (90, choosing),
    "a document is made a text": (1_000, substituting),
    "steps are planned": (90, planning_steps),
    "references are renamed": (1_000, lambda n: lambda: rewrite(["{{$ref:1}}", {"$ref": 1}] * n, {1: 2})),
    "needs are found": (1_000, lambda n: lambda: needs([{"$ref": number} for number in range(n)])),
    "components are given": (90, components),
    "instructions are checked": (1_000, checking),
    "a table goes out and comes in": (300, table),
    "a wrong table is refused": (1_000, wrong_table),
    "a wide table is refused": (2_000, lambda n: attempted(lambda: variables_of(",".join(["name"] * n)))),
    "receivers are set": (45, receiving),
    "a package is listed": (500, packaging),
    "metadata is made": (500, metadata),
    "traits are told": (200, traits),
}


def _deep(levels: int) -> dict[str, Any]:
    value: dict[str, Any] = {}
    for _ in range(levels):
        value = {"a": value}
    return value


def _dense(size: int) -> list[tuple[int, Any]]:
    """As many references as the square of the steps: the input is those."""
    count = int(size**0.5 * 10)
    return [(number, [{"$ref": other} for other in range(count) if other != number]) for number in range(1, count)]


@pytest.mark.parametrize("operation", OPERATIONS)
def test_twice_the_input_takes_at_most_twice_the_steps(operation: str) -> None:
    size, make = OPERATIONS[operation]
    assert growth(make, size) <= AT_MOST


def test_a_prompt_of_a_whole_body_is_a_matter_of_seconds() -> None:
    """It was a minute for an eighth of it: text that grows in a loop is copied again and again."""
    values = {"n": 7}
    began = time.process_time()
    assert substitute_prompt("{{n}}" * 200_000, values) == "7" * 200_000
    opened = substitute_prompt("{{n}}{{$ref:1}}" * 60_000, values)
    assert len(resolve(opened, {1: [text("x")]})) == 120_000
    assert time.process_time() - began < 20

"""What an aggregate has been through costs nothing later: twice the history is twice the fold, and no larger a state.

Bytes are counted beside steps: a dictionary that is copied for each event is one step, and many bytes.
"""

from functools import reduce
from uuid import UUID

import pytest

from services.collections.app import SERVICE as COLLECTIONS
from services.collections.deciders import COLLECTION
from services.collections.domain.collection.component_set import ComponentSet
from services.credits.app import SERVICE as CREDITS
from services.credits.domain.decisions import CaptureHold, PlaceHold, decide
from services.credits.handlers import ACCOUNT
from services.generation.app import SERVICE as GENERATION
from services.storage.app import SERVICE as STORAGE
from shared.eventstore.decider import decode_state, encode_state
from tests.support.histories import LIVES, NOW, USER, AccountLife, folded, of_edits, spent
from tests.support.steps import folding_bytes, steps

AT_MOST, BYTES_AT_MOST = 2.2, 2.6
"""A persistent map is a tree, of which a change makes one branch anew: it becomes longer, too. By the square is 4."""
ALL = [decider for service in (COLLECTIONS, CREDITS, GENERATION, STORAGE) for decider in service.deciders]
SNAPSHOT_TAKEN = [name for name, life in LIVES.items() if life.decider.snapshot_every]


@pytest.mark.parametrize("decider", ALL, ids=lambda decider: decider.name)
def test_each_aggregate_is_measured_here(decider: object) -> None:
    assert decider in [life.decider for life in LIVES.values()]


@pytest.mark.parametrize("name", LIVES)
def test_twice_the_history_is_twice_the_fold(name: str) -> None:
    life = LIVES[name]
    once, twice = life.events(life.size), life.events(2 * life.size)
    assert steps(lambda: folded(life.decider, twice)) <= AT_MOST * steps(lambda: folded(life.decider, once))
    copied = [folding_bytes(life.decider.evolve, life.decider.initial, events) for events in (once, twice)]
    assert copied[1] <= BYTES_AT_MOST * copied[0], f"{copied} bytes"


@pytest.mark.parametrize("name", [name for name, life in LIVES.items() if life.bounded])
def test_what_is_over_leaves_the_state(name: str) -> None:
    """But for the digits of its counters."""
    life = LIVES[name]
    once, twice = (len(encode_state(folded(life.decider, life.events(item * life.size)))) for item in (1, 2))
    assert twice <= once + 16


@pytest.mark.parametrize("name", SNAPSHOT_TAKEN)
def test_a_stored_state_is_the_same_again(name: str) -> None:
    """Also in the middle of its life, when much of it is open."""
    life = LIVES[name]
    events = life.events(20)
    for length in range(len(events) + 1):
        state = folded(life.decider, events[:length])
        assert decode_state(life.decider, encode_state(state)) == state


def test_an_account_is_as_large_as_what_is_open_of_it() -> None:
    """A hundred grants and a hundred jobs at once, after a thousand others of each."""
    life = spent(1_000)
    for number in range(100):
        life.give(10**7 + number)
    for number in range(100):
        life.place(10**7 + number, 500_000)
    assert len(life.account.grants) == len(life.account.holds) == 100
    assert len(encode_state(life.account)) <= 40 * 1024


def test_a_command_costs_the_same_whatever_an_account_has_been_through() -> None:
    def cost(life: AccountLife) -> int:
        life.give(10**7)
        account = life.account

        def commands() -> None:
            placed = reduce(ACCOUNT.evolve, decide(PlaceHold(USER, UUID(int=5), 10, NOW), account), account)
            reduce(ACCOUNT.evolve, decide(CaptureHold(USER, UUID(int=5), 4, NOW), placed), placed)

        commands()
        return steps(commands)

    assert cost(spent(1_000)) <= 1.1 * cost(spent(10))


def test_an_edit_with_new_steps_takes_8_bytes_of_a_collections_state_for_ever() -> None:
    """Which components it ever had, as runs of ids: a step may come back with its own."""
    once, twice = (len(encode_state(folded(COLLECTION, of_edits(size)))) for size in (1_000, 2_000))
    assert twice - once <= 1_000 * 8
    assert ComponentSet().including(range(5, 1_000)).to_plain() == [5, 995]

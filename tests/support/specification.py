"""given(events).when(command).then(events): the grammar of every test of an aggregate.

ACCOUNT = Aggregate(Account(), evolve, decide)

ACCOUNT.given(granted(A, 5)).when(place(4)).then(placed(4, (A, 4)))
ACCOUNT.given().after(give(A, 5), place(4)).when(place(5)).then_refused("HOLD_AMOUNT_DIFFERS")
"""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from functools import reduce
from typing import Any, Self

from shared.contracts.event import Event
from shared.contracts.problem import Detail, Problem


@dataclass(frozen=True)
class Aggregate:
    """An aggregate's initial state, its fold, and `decide(command, state)`, which returns events or raises Problem."""

    initial: Any
    evolve: Callable[[Any, Event], Any]
    decide: Callable[[Any, Any], Iterable[Event]]

    def given(self, *events: Event) -> "Specification":
        return Specification(self, events)


class Specification:
    """A history, and the outcome of the last `when`: the events of its commands, or the Problem that one raised."""

    def __init__(self, aggregate: Aggregate, events: Sequence[Event]) -> None:
        self._aggregate = aggregate
        self.state = reduce(aggregate.evolve, events, aggregate.initial)
        self.outcome: list[Event] | Problem = []

    def after(self, *commands: Any) -> Self:
        """Adds what these commands lead to to the history. Raises Problem if one is refused."""
        for command in commands:
            self._add(list(self._aggregate.decide(command, self.state)))
        return self

    def when(self, *commands: Any) -> Self:
        """Decides on each command in turn; its events become part of the history. The first refusal is the outcome."""
        events: list[Event] = []
        self.outcome = events
        for command in commands:
            try:
                decision = list(self._aggregate.decide(command, self.state))
            except Problem as problem:
                self.outcome = problem
                break
            self._add(decision)
            events += decision
        return self

    def _add(self, events: list[Event]) -> None:
        self.state = reduce(self._aggregate.evolve, events, self.state)

    @property
    def events(self) -> list[Event]:
        """The events of the last `when`. Fails if a command was refused."""
        assert isinstance(self.outcome, list), f"it was refused: {self.outcome}"
        return self.outcome

    def then(self, *events: Event) -> Self:
        assert self.events == list(events)
        return self

    def then_nothing_happens(self) -> Self:
        return self.then()

    def then_refused(self, code: str, *pointers: str) -> list[Detail]:
        """Checks the problem's code and the pointers of its details, and returns the details."""
        assert isinstance(self.outcome, Problem), f"it was not refused: {self.outcome}"
        assert self.outcome.code == code
        assert self.outcome.detail
        assert [detail.pointer for detail in self.outcome.details] == list(pointers)
        return self.outcome.details

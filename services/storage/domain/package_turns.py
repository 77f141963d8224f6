"""Which of the waiting packages are built next, so that nobody's long packages hold up another's."""

from collections.abc import Iterable, Mapping, Sequence
from uuid import UUID

import msgspec

LONG = 256 * 1024 * 1024
"""Bytes of files from which a package counts as long. One build of those at once is kept for shorter ones."""


class Build(msgspec.Struct, frozen=True):
    """An attempt at a package that waits, or is being built. `size`: bytes of its files; `number`: order of arrival."""

    package_id: UUID
    attempt: int
    user_id: UUID
    size: int
    number: int

    @property
    def is_long(self) -> bool:
        """Whether it may take a long time."""
        return self.size >= LONG


def next_builds(
    waiting: Iterable[Build], running: Sequence[Build], at_once: int, last_turns: Mapping[UUID, int]
) -> list[Build]:
    """Those to begin now. `last_turns`: by user, a number that grows with each build that begins.

    - At most `at_once` builds run, and one of a user.
    - All but one of them may be long, if `at_once` allows more than one; so a short one waits for short ones only.
    - A user who has had no turn, or whose last one is the longest ago, is first; of one user, the earliest request.
    """
    most_long = max(1, at_once - 1)
    chosen: list[Build] = []
    users = {build.user_id for build in running}
    long = sum(build.is_long for build in running)
    for build in sorted(waiting, key=lambda build: (last_turns.get(build.user_id, -1), build.number)):
        if len(running) + len(chosen) >= at_once:
            break
        if build.user_id in users or (build.is_long and long >= most_long):
            continue
        chosen.append(build)
        users.add(build.user_id)
        long += build.is_long
    return chosen

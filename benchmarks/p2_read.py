"""P2c: one collection read, at the service and through the edge; beside Express and a row."""

from collections.abc import Iterator

from benchmarks.contest import CONNECTIONS, contest
from benchmarks.ground import Ground
from benchmarks.measure import Figure, median

TARGETS = {"service": 1.0, "edge": 0.7}
ROUNDS = 3


def run(ground: Ground) -> Iterator[Figure]:
    seconds = ground.size(2.0, 0.4)
    with contest(ground) as match:
        peer = match.peer
        names = ("service", "edge", "peer")
        ids = {name: match.create_one_each(name) for name in names}
        for name in names:
            match.read(name, ids[name], seconds / 2)
        rounds = [{name: match.read(name, ids[name], seconds) for name in names} for _ in range(ROUNDS)]
    rates = {name: median([loads[name].rate for loads in rounds]) for name in names}
    for name, least in TARGETS.items():
        p50 = median([loads[name].p50 for loads in rounds])
        where = "at the service" if name == "service" else "through the edge"
        what = f"GET /collections/{{id}}, {CONNECTIONS} connections, {where}"
        note = f"p50 {p50:.1f} ms" + (f"; {peer.note}" if peer.note else "")
        yield Figure("P2c", what, rates[name], "/s", peer.name, rates["peer"], least, note=note)

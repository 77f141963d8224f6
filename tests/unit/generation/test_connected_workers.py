"""Which workers are connected, and what follows from their silence."""

from uuid import UUID, uuid4

from services.generation.domain.turns import Pool
from services.generation.workers.connected_workers import SILENT_SECONDS, ConnectedWorkers
from shared.contracts.work import Announcement, AttemptInProgress, OfferedModel, OfferedService

SKETCH = "direct_job.sketch"
COMFY = "comfy_workflow", "comfy"
SID = UUID(int=1)
NOW = "2026-11-27T00:00:00+00:00"


def announcement(
    instance: str = "one",
    *,
    lanes: int = 2,
    working: tuple[UUID, ...] = (),
    models: list[OfferedModel] | None = None,
    offers: bool = True,
    kind: tuple[str, str] = ("direct_job", "sketch"),
) -> Announcement:
    services = [OfferedService(*kind, lanes)] if offers else []
    attempts = [AttemptInProgress(sid, 1, NOW) for sid in working]
    return Announcement(instance, "studio", "1", services, attempts, NOW, models)


def listening() -> ConnectedWorkers:
    workers = ConnectedWorkers()
    workers.start_listening(0.0)
    return workers


def test_a_worker_is_connected_until_it_was_silent_for_three_intervals() -> None:
    workers = listening()
    workers.note(announcement(), 10.0)
    workers.note(announcement(), 15.0)
    [worker] = workers.all(15.0 + SILENT_SECONDS)
    assert (worker.connected_at, worker.seen_at, worker.kinds) == (10.0, 15.0, [SKETCH])
    assert workers.offered_kinds(15.0 + SILENT_SECONDS) == {SKETCH}
    assert workers.all(15.1 + SILENT_SECONDS) == []
    assert workers.offered_kinds(15.1 + SILENT_SECONDS) == frozenset()


def test_the_last_announcement_of_a_worker_offers_nothing() -> None:
    workers = listening()
    workers.note(announcement(working=(SID,)), 10.0)
    workers.note(announcement(working=(SID,), offers=False), 11.0)
    assert workers.offered_kinds(11.0) == frozenset()
    assert len(workers.all(11.0)) == 1, "it still ends what it has begun"
    workers.note(announcement(offers=False), 12.0)
    assert workers.all(12.0) == []


def test_nothing_is_concluded_before_every_worker_had_time_to_announce_itself() -> None:
    workers = ConnectedWorkers()
    assert workers.offered_kinds(100.0) is None
    workers.start_listening(100.0)
    assert workers.offered_kinds(105.0) is None
    assert workers.offered_kinds(107.0) == frozenset()


def test_silence_while_this_replica_can_not_hear_means_nothing() -> None:
    """Also right after it hears again: then each worker has three intervals anew."""
    workers = listening()
    workers.note(announcement(working=(SID,)), 10.0)
    workers.stop_listening()
    assert workers.offered_kinds(100.0) is None
    workers.start_listening(100.0)
    assert len(workers.all(101.0)) == 1
    sighting = workers.sighting((SID, 1))
    assert sighting is not None
    assert (sighting.first, sighting.last) == (10.0, 100.0)
    assert workers.all(100.1 + SILENT_SECONDS) == []


def test_models_are_unknown_until_a_worker_tells_of_them() -> None:
    workers = listening()
    workers.note(announcement(), 10.0)
    assert workers.available_models(10.0) is None
    model, other = OfferedModel("checkpoints", "a.safetensors"), OfferedModel("vae", "b.safetensors")
    workers.note(announcement("two", models=[model], kind=COMFY), 11.0)
    assert workers.available_models(11.0) == {model}
    workers.note(announcement("three", models=[other], kind=COMFY), 11.0)
    assert workers.available_models(11.0) == {model, other}


def test_models_are_unknown_while_a_worker_for_graphs_does_not_list_its_own() -> None:
    """It may have any model; a worker of another kind needs none."""
    workers = listening()
    workers.note(announcement("sketcher"), 10.0)
    workers.note(announcement("one", models=[OfferedModel("vae", "b.safetensors")], kind=COMFY), 10.0)
    assert workers.available_models(10.0) is not None
    workers.note(announcement("two", kind=COMFY), 11.0)
    assert workers.available_models(11.0) is None


def test_when_the_last_worker_of_a_kind_left_is_known_until_another_one_comes() -> None:
    workers = listening()
    assert workers.left_at(SKETCH) is None, "none has been seen"
    workers.note(announcement("one"), 10.0)
    workers.note(announcement("two"), 10.0)
    workers.note(announcement("one", offers=False), 12.0)
    assert workers.left_at(SKETCH) is None
    workers.note(announcement("two", offers=False), 13.0)
    assert workers.left_at(SKETCH) == 13.0
    workers.note(announcement("three"), 20.0)
    assert workers.left_at(SKETCH) is None
    workers.drop_silent(20.1 + SILENT_SECONDS)
    assert workers.left_at(SKETCH) == 20.1 + SILENT_SECONDS


def test_room_is_counted_from_when_a_lane_became_free() -> None:
    workers = listening()
    assert workers.free_lane_since(SKETCH, 10.0) is None, "no worker does this work"
    workers.note(announcement(lanes=1, working=(SID,)), 11.0)
    assert workers.free_lane_since(SKETCH, 11.0) is None, "its only lane is occupied"
    workers.note(announcement(lanes=1), 14.0)
    assert workers.free_lane_since(SKETCH, 14.0) == 14.0
    assert workers.free_lane_since(SKETCH, 20.0) == 14.0


def test_forged_instances_do_not_fill_the_memory() -> None:
    workers = listening()
    for number in range(2_100):
        workers.note(announcement(f"w{number}", working=tuple(uuid4() for _ in range(12))), 1.0)
    assert len(workers.all(1.0)) == 2_000
    assert len(workers.sightings()) == 20_000


def test_kinds_that_a_worker_does_together_are_a_pool() -> None:
    """Over a third kind, too; what a worker does alone is none, and a worker that ends leaves its pool."""
    workers = listening()

    def offer(instance: str, lanes: int, *services: str) -> None:
        offered = [OfferedService("direct_job", service, lanes) for service in services]
        workers.note(Announcement(instance, "studio", "1", offered, [], NOW), 1.0)

    offer("one", 2, "sketch", "frame")
    offer("two", 4, "caption")
    offer("three", 3, "frame", "print")
    sketching = frozenset({SKETCH, "direct_job.frame", "direct_job.print"})
    assert workers.pools() == [Pool(sketching, 5)]
    offer("four", 1, "caption", "print")
    assert workers.pools() == [Pool(sketching | {"direct_job.caption"}, 10)]
    offer("three", 3)
    assert sorted(workers.pools(), key=lambda pool: pool.lanes) == [
        Pool(frozenset({SKETCH, "direct_job.frame"}), 2),
        Pool(frozenset({"direct_job.caption", "direct_job.print"}), 5),
    ]

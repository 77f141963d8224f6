"""How far a job is, from the events of its stream."""

from typing import Any, Literal

import msgspec

State = Literal["waiting", "retrying", "completed", "failed"]


class StepProgress(msgspec.Struct, frozen=True):
    """A step of one generation. `share`: from 0 to 1; `error`: of the last attempt."""

    state: State = "waiting"
    share: float = 0.0
    error: str = ""


class JobProgress:
    """Folds the events of `/jobs/{id}/events`."""

    def __init__(self) -> None:
        self._begin()

    def _begin(self) -> None:
        self.status = "unknown"
        self.ended = 0
        self.total = 0
        self.error = ""
        self.waiting: dict[str, Any] | None = None
        """What it waits for while nothing of it is in progress: `waiting_for` of the API."""
        self.workflows: dict[int, str] = {}
        """By step id."""
        self._generations: dict[str, dict[int, StepProgress]] = {}
        """By gid, in the order of their last change."""

    @property
    def step_ids(self) -> list[int]:
        """The steps that have begun in any generation, in their order."""
        return sorted(self.workflows)

    def note(self, event: str, data: dict[str, Any]) -> None:
        """Adds an event. After a `gap`, all events are sent again."""
        match event:
            case "gap":
                self._begin()
            case "job_status":
                self._note_status(data)
            case "job_waiting":
                self.waiting = data["waiting_for"]
            case "node_started":
                self.workflows[data["step_id"]] = data["workflow"]
                self._set(data, StepProgress())
            case "node_progress":
                self.waiting = None
                self._set(data, StepProgress(share=data["progress"]))
            case "node_completed":
                self._set(data, StepProgress("completed", 1.0))
            case "error":
                self._set(data, StepProgress("retrying" if data["retrying"] else "failed", error=data["code"]))

    def _note_status(self, data: dict[str, Any]) -> None:
        self.status = data["status"]
        self.total = data.get("generations", self.total)
        self.ended += "gid" in data
        if self.status != "processing":
            self.waiting = None
            self.error = data.get("error", "")

    def _set(self, data: dict[str, Any], progress: StepProgress) -> None:
        steps = self._generations.pop(data["gid"], {})
        before = steps.get(data["step_id"])
        is_late = progress.state == "waiting" and before is not None and before.state == "completed"
        if not is_late:
            steps[data["step_id"]] = progress
        self._generations[data["gid"]] = steps

    def last_changed(self, limit: int) -> list[tuple[str, dict[int, StepProgress]]]:
        """The `limit` generations that changed last, by gid."""
        return sorted(list(self._generations.items())[-limit:])


def wait_line(wait: dict[str, Any]) -> str:
    """What a job waits for, and since when: for people."""
    since = f" (since {wait['since'][:19].replace('T', ' ')} UTC)" if wait.get("since") else ""
    return f"waits: {wait.get('message') or wait['reason']}{since}"

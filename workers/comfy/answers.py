"""Reads the answers of a ComfyUI server: the state of a run, its outputs, and why a graph was rejected.

Facts of ComfyUI 0.8 (server.py, execution.py): an answer 200 to `/prompt` may carry `node_errors`, whose branches were
dropped; `/history/{id}` is `{}` while a run is queued or running, and for an unknown one; JSON may contain NaN.
"""

import json
from collections.abc import Collection, Iterator, Mapping
from typing import Any, Literal, NamedTuple

from workers.kit.faults import StepFault, permanent, transient

State = Literal["unknown", "queued", "running", "completed", "failed", "interrupted"]


class File(NamedTuple):
    """A file that a node made, as `/view` takes it."""

    filename: str
    subfolder: str
    type: str


class Outcome(NamedTuple):
    files: list[File]
    texts: list[str]


Outputs = Mapping[str, Any]
"""By node: `{"9": {"images": [{filename, subfolder, type}], "text": ["…"]}}`."""


class Run(NamedTuple):
    state: State
    outputs: Outputs | None = None
    """Of a completed run."""
    fault: StepFault | None = None
    """Of a failed one."""


UNKNOWN, QUEUED, RUNNING = Run("unknown"), Run("queued"), Run("running")
PREVIEW = "temp"
"""The type of files that are previews, which a server deletes at its next start."""
INTERNAL = frozenset({"latents"})
"""Lists of files that are of use to ComfyUI only."""
TEXTS = frozenset({"text", "string"})
TRANSIENT_WORDS = ("out of memory", "cuda error", "connection", "timed out", "timeout", "temporarily")
"""Parts of an error's text that show that another attempt, or another server, may succeed."""


def read_json(text: str | bytes) -> Any:
    """The JSON value. NaN and Infinity, which ComfyUI writes, become null. Raises ValueError for malformed JSON."""
    return json.loads(text, parse_constant=lambda _: None)


def refusal(status: int, body: Any) -> StepFault | None:
    """The fault of a rejected graph; None if it was accepted. It is retryable if the server itself has failed."""
    if status >= 500:
        return transient("COMFY_UNAVAILABLE", f"ComfyUI answered {status}")
    node_errors = body.get("node_errors") if isinstance(body, Mapping) else None
    if status == 200 and not node_errors:
        return None
    error = body.get("error") if isinstance(body, Mapping) else None
    sentences = list(_node_errors(node_errors)) or [_sentence(error) or f"ComfyUI answered {status}"]
    return permanent("COMFY_REFUSED", "; ".join(sentences)[:1000])


def _node_errors(node_errors: Any) -> Iterator[str]:
    for node, entry in (node_errors or {}).items() if isinstance(node_errors, Mapping) else ():
        for error in entry.get("errors", []) if isinstance(entry, Mapping) else ():
            yield f"node {node} ({entry.get('class_type', '?')}): {_sentence(error)}"


def _sentence(error: Any) -> str:
    if isinstance(error, str):
        return error
    if not isinstance(error, Mapping):
        return ""
    message, details = error.get("message"), error.get("details")
    return f"{message}: {details}" if details and details != message else str(message or error.get("type", ""))


def history_run(prompt_id: str, history: Any) -> Run | None:
    """The run of an entry of `/history/{id}`; None if there is no entry."""
    entry = history.get(prompt_id) if isinstance(history, Mapping) else None
    if not isinstance(entry, Mapping):
        return None
    status = entry.get("status") or {}
    if status.get("status_str") == "success" or status.get("completed") is True:
        outputs = entry.get("outputs")
        return Run("completed", outputs=outputs if isinstance(outputs, Mapping) else {})
    messages = {name: data for name, data in status.get("messages") or [] if isinstance(data, Mapping)}
    if "execution_interrupted" in messages:
        return Run("interrupted", fault=transient("COMFY_INTERRUPTED", "The run was interrupted on the ComfyUI server"))
    return Run("failed", fault=execution_fault(messages.get("execution_error", {})))


def execution_fault(error: Mapping[str, Any]) -> StepFault:
    """The fault of an `execution_error`. The traceback is not included: it stays on the server."""
    message = str(error.get("exception_message") or "the run failed").strip()
    node = f"node {error['node_id']} ({error.get('node_type', '?')}): " if error.get("node_id") else ""
    text = f"{node}{message}"[:1000]
    may_pass = any(part in message.lower() for part in TRANSIENT_WORDS)
    return transient("COMFY_FAILED", text) if may_pass else permanent("COMFY_FAILED", text)


def job_state(status: int, job: Any) -> State | None:
    """The state by `/api/jobs/{id}`; None from servers that do not have it."""
    if status == 404:
        return "unknown" if isinstance(job, Mapping) and "error" in job else None
    states: Mapping[str, State] = {
        "pending": "queued",
        "in_progress": "running",
        "completed": "completed",
        "failed": "failed",
        "cancelled": "interrupted",
    }
    return states.get(str(job.get("status"))) if status == 200 and isinstance(job, Mapping) else None


def queue_state(prompt_id: str, queue: Any) -> State:
    """The state by `/queue`, whose entries are `[number, prompt id, …]`."""
    for name, state in (("queue_running", "running"), ("queue_pending", "queued")):
        for entry in queue.get(name, []) if isinstance(queue, Mapping) else ():
            if isinstance(entry, list) and len(entry) > 1 and entry[1] == prompt_id:
                return "running" if state == "running" else "queued"
    return "unknown"


def outcome_of(outputs: Outputs, displays: Collection[str] = ()) -> Outcome:
    """The files and texts of all output nodes, in the order in which the nodes ran.

    Nodes name their files in lists such as `images`, `gifs`, `videos` and `audio`; a text is in `text`. Files that are
    previews, and texts of the nodes `displays`, count only if there is nothing else. Latents are not outputs.
    """
    files: list[File] = []
    texts: list[str] = []
    previews = Outcome([], [])
    for node_id, node in outputs.items():
        for name, values in node.items() if isinstance(node, Mapping) else ():
            for value in values if isinstance(values, list) and name not in INTERNAL else ():
                if isinstance(value, Mapping) and isinstance(value.get("filename"), str):
                    file = File(value["filename"], str(value.get("subfolder", "")), str(value.get("type", "output")))
                    (previews.files if file.type == PREVIEW else files).append(file)
                elif name in TEXTS and isinstance(value, str):
                    (previews.texts if node_id in displays else texts).append(value)
    if not files and not texts:
        files, texts = previews
    return Outcome(list(dict.fromkeys(files)), texts)

"""One call of an API: the request, the wait for its answer or for the task that it started, and the answer's values.

The request is that of `api.json` (`services/generation/domain/workflow/types/fetch_api.py` builds the message); names
of secrets in its URL and headers, `{{NAME}}`, get their values here, at the last moment.
"""

import asyncio
import re
from collections.abc import Awaitable, Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from email.utils import parsedate_to_datetime
from random import Random
from typing import Any
from urllib.parse import quote

import aiohttp
import msgspec
from yarl import URL

from shared.contracts.work import MAX_CHECKPOINT
from shared.public_addresses import NotAllowed, PublicAddresses
from workers.http_api.expressions import holds, jq_value, jq_values
from workers.http_api.redaction import Redaction
from workers.kit.faults import StepFault, permanent, transient

MAX_ANSWER = 64 * 1024 * 1024
"""Bytes of an answer; files are not in it, but fetched from the addresses that it names, or stored as they come."""
CALL_SECONDS = 120.0
POLL_SECONDS = 2.0
"""Between two requests for a task's state; `polling.timeout`, in milliseconds, bounds each of them."""
TRIES = 4
"""Of one call within an attempt; then the attempt fails."""
LONGEST_PAUSE = 60.0
RETRIED = frozenset({408, 425, 429})
GONE = frozenset({404, 410})
"""Of a request for a task's state: the API does not know the task, or not yet."""
ACCEPTED = 202
NAME = re.compile(r"\{\{\s*([A-Za-z_][A-Za-z0-9_]{0,99})\s*\}\}")
PARAMETER = re.compile(r"\{([A-Za-z_][A-Za-z0-9_]*)\}")

Secrets = Callable[[str], Awaitable[str]]
"""The value of a secret. Raises StepFault SECRET_MISSING."""
Store = Callable[[dict[str, Any]], Awaitable[None]]
"""Stores a checkpoint for the step's next attempt."""


class Answer(msgspec.Struct, frozen=True):
    status: int
    content_type: str
    body: bytes

    @property
    def is_json(self) -> bool:
        return self.content_type.endswith("json") or self.body[:1] in {b"{", b"["}

    def json(self) -> Any:
        """Raises StepFault API_ANSWER."""
        try:
            return msgspec.json.decode(self.body)
        except msgspec.DecodeError as error:
            raise permanent("API_ANSWER", f"The API's answer is not JSON: {error}"[:300]) from None


class ApiResult(msgspec.Struct, frozen=True):
    """What the API made: values of its answer, or the answer itself if it is not JSON."""

    values: list[Any] = []
    content: Answer | None = None


@dataclass(frozen=True)
class ApiRun:
    """One attempt's calls. `secret` adds each value to `redaction`, which `store` applies to checkpoints.

    A checkpoint has `parameters`, the values of the running task's URL, or `values`, what a call has returned. It is
    empty once the task has failed or is gone. A task is started if neither is there.
    """

    http: aiohttp.ClientSession
    addresses: PublicAddresses
    secret: Secrets
    redaction: Redaction
    store: Store
    random: Random
    now: Callable[[], datetime]
    sid: str

    async def run(self, payload: Mapping[str, Any], checkpoint: Mapping[str, Any] | None, number: int = 0) -> ApiResult:
        """`checkpoint`: the step's newest; `number`: how many it has had. Raises StepFault."""
        checkpoint = await self._with_secret_values(payload["request"], checkpoint or {})
        # One key for each task: an API that knows it answers a second start with the first one's task.
        request = {**payload["request"], "key": f"{self.sid}-{number}" if number else self.sid}
        if payload["fetch"] == "wait":
            if "values" in checkpoint:
                return ApiResult(values=checkpoint["values"])
            result = self._result(payload.get("wait") or {}, await self._begin(request, payload["success"]))
            if result.content is None and len(msgspec.json.encode(result.values)) < MAX_CHECKPOINT // 2:
                await self.store({"values": result.values})
            return result
        polling = payload["polling"]
        parameters = checkpoint.get("parameters")
        if parameters is None:
            parameters = await self._start(request, payload["success"], polling)
            await self.store({"parameters": parameters})
        try:
            return await self._poll(request, polling, parameters)
        except TaskEnded as task:
            await self.store({})
            raise task.fault from None

    async def _begin(self, request: Mapping[str, Any], success: Sequence[int]) -> Answer:
        """The answer to the step's request. After a refusal, a resumed step sends another key.

        An API that knows such keys would answer this one with the refusal again, whatever has changed since.
        """
        try:
            return await self._call(request, success)
        except StepFault as fault:
            if fault.error.code == "API_REFUSED":
                await self.store({})
            raise

    async def _start(
        self, request: Mapping[str, Any], success: Sequence[int], polling: Mapping[str, Any]
    ) -> dict[str, str]:
        answer = (await self._begin(request, success)).json()
        parameters = {}
        for name, source in (polling.get("params") or {}).items():
            value = jq_value(source["exprJq"], answer)
            if value is None:
                raise permanent("API_ANSWER", f"The API's answer has nothing at {source['exprJq']}, its {name}")
            parameters[name] = value if isinstance(value, str) else msgspec.json.encode(value).decode()
        return parameters

    async def _poll(
        self, request: Mapping[str, Any], polling: Mapping[str, Any], parameters: Mapping[str, str]
    ) -> ApiResult:
        """Until the task has ended; the step's deadline bounds it. Raises TaskEnded for a failed or unknown task."""
        state_request = {
            "method": polling.get("method", "GET"),
            "url": PARAMETER.sub(lambda name: quote(parameters.get(name[1], name[0]), safe=""), polling["url"]),
            "headers": polling.get("headers") or _without_body(request.get("headers") or {}),
        }
        seconds = min(CALL_SECONDS, max(1.0, polling.get("timeout", 0) / 1000)) if polling.get("timeout") else None
        while True:
            success = polling["successResponseCode"]
            answer = await self._call(state_request, {*success, *GONE, ACCEPTED}, seconds=seconds, retry_statuses=GONE)
            if answer.status in GONE and answer.status not in success:
                raise TaskEnded(permanent("API_TASK_GONE", f"The API does not know its task any more: {answer.status}"))
            if answer.status in success:
                body = answer.json()
                if _is_true(polling, "stopWhenExpr", body):
                    raise TaskEnded(permanent("API_FAILED", f"The API's task failed: {self._summary(answer)}"))
                if not _is_true(polling, "continueWhenExpr", body):
                    return self._result(polling, answer)
            await asyncio.sleep(POLL_SECONDS * self.random.uniform(0.8, 1.2))

    async def _call(
        self,
        request: Mapping[str, Any],
        success: Collection[int],
        *,
        seconds: float | None = None,
        retry_statuses: Collection[int] = (),
    ) -> Answer:
        """One request, tried again while the API is busy or away, or answers with one of `retry_statuses`.

        Raises StepFault.
        """
        for number in range(1, TRIES + 1):
            try:
                answer, wait = await self._once(request, seconds or CALL_SECONDS)
            except StepFault as fault:
                if not fault.error.retryable or number == TRIES:
                    raise
                wait = None
            else:
                if answer.status in success and (answer.status not in retry_statuses or number == TRIES):
                    return answer
                refusal = self._refusal(answer)
                if answer.status not in retry_statuses and (not refusal.error.retryable or number == TRIES):
                    raise refusal
            pause = wait if wait is not None else 2.0 ** (number - 1) * self.random.uniform(0.5, 1.0)
            await asyncio.sleep(min(pause, LONGEST_PAUSE))
        raise AssertionError("the last try returns or raises")

    async def _once(self, request: Mapping[str, Any], seconds: float) -> tuple[Answer, float | None]:
        method, url, headers, body = await self._with_values(request)
        try:
            self.addresses.check_url(url)
            async with (
                asyncio.timeout(seconds),
                self.http.request(method, url, headers=headers, data=body, allow_redirects=False) as response,
            ):
                content = bytearray()
                async for chunk in response.content.iter_any():
                    content += chunk
                    if len(content) > MAX_ANSWER:
                        raise permanent("API_ANSWER", f"The API's answer has more than {MAX_ANSWER} bytes")
                answer = Answer(response.status, response.content_type, bytes(content))
                return answer, retry_after(response.headers.get("Retry-After"), self.now())
        except NotAllowed as error:
            raise permanent("API_ADDRESS", f"The API can't be called: {error}") from None
        except (aiohttp.ClientConnectorError, aiohttp.ClientConnectorDNSError) as error:
            if isinstance(error.os_error, NotAllowed):
                raise permanent("API_ADDRESS", f"The API can't be called: {error.os_error}") from None
            raise transient("API_UNAVAILABLE", f"{url.host} can't be reached") from None
        except (ValueError, aiohttp.InvalidURL):
            raise permanent("API_REQUEST", "The URL or a header of api.json, with its secrets, is malformed") from None
        except (aiohttp.ClientError, TimeoutError) as error:
            raise transient("API_UNAVAILABLE", f"{url.host} did not answer ({type(error).__name__})") from None

    async def _with_values(self, request: Mapping[str, Any]) -> tuple[str, URL, dict[str, str], bytes | None]:
        """Method, URL, headers and body, with the secrets' values. Raises StepFault."""
        try:
            url = URL(await self._with_secrets(request["url"], in_url=True), encoded=False)
        except ValueError:
            raise permanent("API_REQUEST", "The URL of api.json, with its secrets, is no address") from None
        headers = {name: await self._with_secrets(text) for name, text in request["headers"].items()}
        names = {name.lower() for name in headers}
        method = request["method"].upper()
        if method not in {"GET", "HEAD"} and "idempotency-key" not in names:
            headers["Idempotency-Key"] = request.get("key", self.sid)
        body = msgspec.json.encode(request["body"]) if "body" in request and method != "GET" else None
        if body is not None and "content-type" not in names:
            headers["Content-Type"] = "application/json"
        return method, url, headers, body

    async def _with_secrets(self, text: str, *, in_url: bool = False) -> str:
        parts, end = [], 0
        for token in NAME.finditer(text):
            value = await self.secret(token[1])
            parts += [text[end : token.start()], quote(value, safe="") if in_url else value]
            end = token.end()
        return "".join([*parts, text[end:]])

    async def _with_secret_values(self, request: Mapping[str, Any], checkpoint: Mapping[str, Any]) -> Mapping[str, Any]:
        """The checkpoint with the values of the secrets that `store` replaced by their names."""
        if "{{" in str(checkpoint):
            for name in NAME.findall(" ".join([request["url"], *request["headers"].values()])):
                await self.secret(name)
        restored: Mapping[str, Any] = self.redaction.with_values(checkpoint)
        return restored

    def _result(self, settings: Mapping[str, Any], answer: Answer) -> ApiResult:
        expression = settings.get("outputExprJq")
        if not answer.is_json:
            return ApiResult(content=answer)
        values = jq_values(expression or ".", answer.json())
        if not values:
            raise permanent("API_ANSWER", f"The API's answer has nothing at {expression}: {self._summary(answer)}")
        return ApiResult(values=values)

    def _refusal(self, answer: Answer) -> StepFault:
        sentence = f"The API answered {answer.status}: {self._summary(answer)}"
        if answer.status >= 500 or answer.status in RETRIED:
            return transient("API_UNAVAILABLE", sentence)
        return permanent("API_REFUSED", sentence)

    def _summary(self, answer: Answer) -> str:
        """The beginning of an answer, for the user who pays for it."""
        return self.redaction.text(answer.body[:2000].decode(errors="replace"))[:300].strip() or "an empty answer"


class TaskEnded(Exception):  # noqa: N818 - of a task
    """A task that makes nothing any more: a resumed step starts another one."""

    def __init__(self, fault: StepFault) -> None:
        super().__init__(fault)
        self.fault = fault


def retry_after(header: str | None, now: datetime) -> float | None:
    """Seconds, from a number of them or a date. None without the header, and for what can't be read."""
    if header is None:
        return None
    if header.isascii() and header.isdecimal():
        return float(header)
    try:
        until = parsedate_to_datetime(header)
    except ValueError:
        return None
    return max(0.0, (until - now).total_seconds())


def _is_true(polling: Mapping[str, Any], name: str, body: Any) -> bool:
    if (query := polling.get(f"{name}Jq")) is not None:
        return bool(jq_value(query, body))
    return name in polling and holds(polling[name], body)


def _without_body(headers: Mapping[str, str]) -> dict[str, str]:
    """The first request's headers, for requests of the task's state: without those that describe a body."""
    return {name: text for name, text in headers.items() if name.lower() not in {"content-type", "content-length"}}

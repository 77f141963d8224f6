"""A pinning service that conforms to the IPFS Pinning Service API 1.0, on loopback."""

from typing import Any
from urllib.parse import parse_qs, urlsplit

from tests.support.json_server import JsonServer

TOKEN = "secret-of-the-pinning-service"


class PinningServer(JsonServer):
    """Its requests go through `states`, one further with each look at them; `details` is why one failed.

    `faults`: statuses with which the next requests are answered.
    """

    def __init__(self, *states: str, details: str = "") -> None:
        self.states, self.details = states or ("queued", "pinning", "pinned"), details
        self.pins: list[dict[str, Any]] = []
        self.looks: dict[str, int] = {}
        self.faults: list[int] = []
        super().__init__()
        self.url = f"{self.origin}/psa"

    def add(self, pin: dict[str, Any]) -> dict[str, Any]:
        self.pins.append(pin)
        return self.status(f"request-{len(self.pins)}")

    def status(self, request_id: str) -> dict[str, Any]:
        looks = self.looks.setdefault(request_id, 0)
        state = self.states[min(looks, len(self.states) - 1)]
        return {
            "requestid": request_id,
            "status": state,
            "created": "2026-11-27T12:00:00Z",
            "pin": self.pins[int(request_id.removeprefix("request-")) - 1],
            "delegates": ["/dns/pins.example/tcp/4001"],
            "info": {"status_details": self.details} if state == "failed" else {},
        }

    def look(self, request_id: str) -> dict[str, Any]:
        self.looks[request_id] += 1
        return self.status(request_id)

    def listed(self, cid: str, states: list[str]) -> dict[str, Any]:
        statuses = [self.status(f"request-{number}") for number in range(1, len(self.pins) + 1)]
        results = [item for item in statuses if item["pin"]["cid"] == cid and item["status"] in states]
        return {"count": len(results), "results": results}

    def get(self, path: str, authorization: str | None) -> tuple[int, Any]:
        """A request, or those that are asked for."""
        if refusal := self._refusal(authorization):
            return refusal
        parts = urlsplit(path)
        query = parse_qs(parts.query)
        if parts.path == "/psa/pins":
            return 200, self.listed(query["cid"][0], query.get("status", ["pinned"])[0].split(","))
        request_id = parts.path.removeprefix("/psa/pins/")
        return (200, self.look(request_id)) if request_id in self.looks else (404, {"error": {"reason": "NOT_FOUND"}})

    def post(self, path: str, authorization: str | None, body: Any) -> tuple[int, Any]:
        """A new request."""
        assert path == "/psa/pins"
        return self._refusal(authorization) or (202, self.add(body))

    def _refusal(self, authorization: str | None) -> tuple[int, Any] | None:
        if self.faults:
            return self.faults.pop(0), {"error": {"reason": "FAULT", "details": "of the service"}}
        if authorization != f"Bearer {TOKEN}":
            return 401, {"error": {"reason": "UNAUTHORIZED"}}
        return None

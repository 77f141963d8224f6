"""A pinning service that conforms to the IPFS Pinning Service API 1.0, on loopback."""

import json
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread
from typing import Any, Self
from urllib.parse import parse_qs, urlsplit

TOKEN = "secret-of-the-pinning-service"


class PinningServer:
    """Its requests go through `states`, one further with each look at them; `details` is why one failed.

    `faults`: statuses with which the next requests are answered.
    """

    def __init__(self, *states: str, details: str = "") -> None:
        self.states, self.details = states or ("queued", "pinning", "pinned"), details
        self.pins: list[dict[str, Any]] = []
        self.looks: dict[str, int] = {}
        self.faults: list[int] = []
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), self._handler())
        self.url = f"http://127.0.0.1:{self._server.server_port}/psa"

    def __enter__(self) -> Self:
        Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True).start()
        return self

    def __exit__(self, *_error: object) -> None:
        self._server.shutdown()
        self._server.server_close()

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

    def answer_get(self, url: str) -> tuple[int, Any]:
        """The status and body of a GET."""
        parts = urlsplit(url)
        query = parse_qs(parts.query)
        if parts.path == "/psa/pins":
            return 200, self.listed(query["cid"][0], query.get("status", ["pinned"])[0].split(","))
        request_id = parts.path.removeprefix("/psa/pins/")
        return (200, self.look(request_id)) if request_id in self.looks else (404, {"error": {"reason": "NOT_FOUND"}})

    def _handler(self) -> type[BaseHTTPRequestHandler]:
        class Handler(_Handler):
            service = self

        return Handler


class _Handler(BaseHTTPRequestHandler):
    service: PinningServer

    def do_GET(self) -> None:
        if not self._is_refused():
            self._answer(*self.service.answer_get(self.path))

    def do_POST(self) -> None:
        pin = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        if not self._is_refused():
            self._answer(202, self.service.add(pin))

    def _is_refused(self) -> bool:
        if self.service.faults:
            status = self.service.faults.pop(0)
            self._answer(status, {"error": {"reason": "FAULT", "details": "of the service"}})
            return True
        if self.headers["Authorization"] != f"Bearer {TOKEN}":
            self._answer(401, {"error": {"reason": "UNAUTHORIZED"}})
            return True
        return False

    def _answer(self, status: int, body: Any) -> None:
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.end_headers()
        self.wfile.write(json.dumps(body).encode())

    def log_message(self, *_parts: object) -> None:
        """Says nothing."""

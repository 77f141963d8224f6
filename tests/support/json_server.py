"""A server on loopback that answers JSON, for commands that call others synchronously."""

import json
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread
from typing import Any, Self


class JsonServer:
    """`with` starts and stops it. Subclasses answer; by default, everything is 404."""

    def __init__(self) -> None:
        server = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                self._answer(*server.get(self.path, self.headers["Authorization"]))

            def do_POST(self) -> None:
                body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
                self._answer(*server.post(self.path, self.headers["Authorization"], body))

            def _answer(self, status: int, body: Any) -> None:
                self.send_response(status)
                self.send_header("Content-Type", "application/json")
                self.end_headers()
                self.wfile.write(json.dumps(body).encode())

            def log_message(self, *_parts: object) -> None:
                """Says nothing."""

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.origin = f"http://127.0.0.1:{self._server.server_port}"

    def __enter__(self) -> Self:
        Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True).start()
        return self

    def __exit__(self, *_error: object) -> None:
        self._server.shutdown()
        self._server.server_close()

    def get(self, path: str, authorization: str | None) -> tuple[int, Any]:
        """The status and body of a GET. `path` has the query."""
        return 404, {"path": path, "authorized": authorization is not None}

    def post(self, path: str, authorization: str | None, body: Any) -> tuple[int, Any]:
        """The status and body of a POST."""
        return 404, {"path": path, "authorized": authorization is not None, "body": body}

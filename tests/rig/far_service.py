"""A service on the internet, played by a server on loopback: real HTTP, and nothing leaves this machine.

Answers what it was told to, and remembers what it was asked.
"""

import json
import threading
from collections.abc import Mapping
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Self

import httpx


class FarService:
    """Answers each path with JSON and status 200, and any other with 404.

    Args:
        answers: the answer of each path, by the path without its query.

    `asked` has the requests: method, path with query, host, and body, in order.
    """

    def __init__(self, answers: Mapping[str, object]) -> None:
        """Begin to listen, on a port of loopback that is free."""
        self.asked: list[tuple[str, str, str, bytes]] = []
        asked = self.asked

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                body = self.rfile.read(int(self.headers.get("content-length", 0)))
                asked.append((self.command, self.path, self.headers["host"], body))
                path = self.path.partition("?")[0]
                content = json.dumps(answers.get(path, {})).encode()
                self.send_response(200 if path in answers else 404)
                self.send_header("content-type", "application/json")
                self.send_header("content-length", str(len(content)))
                self.end_headers()
                self.wfile.write(content)

            do_POST = do_GET  # noqa: N815 - the base class's spelling

            def log_message(self, *_: object) -> None:
                """Print nothing."""

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._thread = threading.Thread(target=self._server.serve_forever, name="far-service")
        self._thread.start()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()

    def client(self) -> httpx.AsyncClient:
        """A client whose every request comes here, wherever it was meant to go; its Host header says where."""
        return httpx.AsyncClient(transport=_Detour(self._server.server_port))


class _Detour(httpx.AsyncBaseTransport):
    def __init__(self, port: int) -> None:
        self._port = port
        self._wire = httpx.AsyncHTTPTransport()

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        request.url = request.url.copy_with(scheme="http", host="127.0.0.1", port=self._port)
        return await self._wire.handle_async_request(request)

    async def aclose(self) -> None:
        await self._wire.aclose()

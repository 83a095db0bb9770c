"""A proxy before the local Kinesis endpoint that refuses as the service does: in part, or wholly;
or whose answer never comes.

What it lets through the real endpoint takes; what it refuses never gets there. It is also how a
test counts what was asked.
"""

import json
import random
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.client import HTTPConnection
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import urlsplit

_CODE = "ProvisionedThroughputExceededException"
_REFUSED = {"ErrorCode": _CODE, "ErrorMessage": "Rate exceeded"}


@dataclass
class Refusals:
    """What the proxy does. share: of the records of each PutRecords that are refused; throttled:
    whether every PutRecords is, as a whole. unanswered: so many of the next PutRecords are taken,
    and their caller is hung up on. lane: the partition key of records that are refused. calls,
    asked, refused: PutRecords seen, the records in them, and those refused.
    """

    share: float = 0.0
    throttled: bool = False
    unanswered: int = 0
    lane: str = ""
    calls: int = 0
    asked: int = 0
    refused: int = 0
    chance: random.Random = field(default_factory=lambda: random.Random(1))
    lock: threading.Lock = field(default_factory=threading.Lock)

    def judge(self, records: list[dict[str, Any]]) -> list[bool]:
        """Of each record of a request, whether it is refused."""
        with self.lock:
            found = [
                self.throttled
                or record["PartitionKey"] == self.lane
                or self.chance.random() < self.share
                for record in records
            ]
            self.calls, self.asked = self.calls + 1, self.asked + len(records)
            self.refused += sum(found)
            return found

    def hangs_up(self) -> bool:
        """Whether this request is taken without an answer."""
        with self.lock:
            self.unanswered -= (found := self.unanswered > 0)
            return found


class _Proxy(ThreadingHTTPServer):
    """endpoint: host and port of the real one."""

    daemon_threads = True

    def __init__(self, endpoint: str, port: int) -> None:
        super().__init__(("127.0.0.1", port), _Handler)
        self.endpoint, self.refusals = urlsplit(endpoint).netloc, Refusals()


class _Handler(BaseHTTPRequestHandler):
    server: _Proxy
    protocol_version = "HTTP/1.1"

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        if not self.headers.get("X-Amz-Target", "").endswith(".PutRecords"):
            self.answer(*self.forward(body))
        elif self.server.refusals.hangs_up():
            self.forward(body)
            self.close_connection = True
        else:
            self.answer(*self.put_records(json.loads(body)))

    def put_records(self, request: dict[str, Any]) -> tuple[int, bytes]:
        records = request["Records"]
        refused = self.server.refusals.judge(records)
        if self.server.refusals.throttled:
            return 400, json.dumps({"__type": _CODE, "message": "Rate exceeded"}).encode()
        passed = [r for r, is_refused in zip(records, refused, strict=True) if not is_refused]
        taken: Iterator[dict[str, Any]] = iter(())
        if passed:
            status, answer = self.forward(json.dumps({**request, "Records": passed}).encode())
            if status != 200:
                return status, answer
            taken = iter(json.loads(answer)["Records"])
        answers = [_REFUSED if is_refused else next(taken) for is_refused in refused]
        told = {"FailedRecordCount": sum(refused), "Records": answers}
        return 200, json.dumps(told).encode()

    def forward(self, body: bytes) -> tuple[int, bytes]:
        kept = ("X-Amz-Target", "Content-Type", "Authorization", "X-Amz-Date")
        headers = {name: self.headers[name] for name in kept if name in self.headers}
        connection = HTTPConnection(self.server.endpoint, timeout=60)
        try:
            connection.request("POST", self.path, body, headers)
            answer = connection.getresponse()
            return answer.status, answer.read()
        finally:
            connection.close()

    def answer(self, status: int, body: bytes) -> None:
        self.send_response(status)
        self.send_header("Content-Type", "application/x-amz-json-1.1")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_told: object) -> None:
        """Say nothing of each request."""


@contextmanager
def throttling(endpoint: str, port: int) -> Iterator[Refusals]:
    """A proxy of an endpoint on a port of this machine, until the block ends."""
    server = _Proxy(endpoint, port)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        yield server.refusals
    finally:
        server.shutdown()
        server.server_close()
        thread.join()

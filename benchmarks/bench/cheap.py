"""A Kinesis that takes everything and keeps nothing, for where moto's own time would hide ours.

It reads each request whole into the same memory, counts its records, and answers them with rising
sequence numbers; one process, a thread a connection, a microsecond a record.
"""

import itertools
import json
import re
import socket
import threading

_SUMMARY = {
    "StreamDescriptionSummary": {
        "StreamName": "bench",
        "StreamARN": "arn:aws:kinesis:us-east-1:1:stream/bench",
        "StreamStatus": "ACTIVE",
        "RetentionPeriodHours": 24,
        "StreamCreationTimestamp": 1,
        "EnhancedMonitoring": [],
        "OpenShardCount": 1,
    }
}
_NUMBERS = itertools.count(1)


_LENGTH = re.compile(rb"\r\ncontent-length: *(\d+)", re.IGNORECASE)
_MOST = 8 << 20  # a request of 5 MiB, in base64


def _serve(client: socket.socket) -> None:
    memory = bytearray(_MOST)
    had = 0
    with client, memoryview(memory) as view:
        while True:
            while (end := memory.find(b"\r\n\r\n", 0, had) + 4) < 4:
                if not (more := client.recv_into(view[had:])):
                    return
                had += more
            head = bytes(view[:end])
            length = _LENGTH.search(head)
            whole = end + int(length[1] if length else 0)
            if b"100-continue" in head.lower():
                client.sendall(b"HTTP/1.1 100 Continue\r\n\r\n")
            while had < whole:
                had += client.recv_into(view[had:whole])
            client.sendall(_answer(head, memory.count(b'"PartitionKey"', end, whole)))
            view[: had - whole] = view[whole:had]
            had -= whole


def _answer(head: bytes, records: int) -> bytes:
    said: object = _SUMMARY
    if b".putrecords" in head.lower():
        numbers = itertools.islice(_NUMBERS, records)
        shard = "shardId-000000000000"
        taken = [{"SequenceNumber": str(number), "ShardId": shard} for number in numbers]
        said = {"FailedRecordCount": 0, "Records": taken}
    body = json.dumps(said).encode()
    return (
        b"HTTP/1.1 200 OK\r\nContent-Type: application/x-amz-json-1.1\r\n"
        b"Content-Length: %d\r\n\r\n%b" % (len(body), body)
    )


def serve(port: int) -> None:
    """Serve for ever."""
    with socket.create_server(("127.0.0.1", port)) as listening:
        while True:
            client, _ = listening.accept()
            client.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            threading.Thread(target=_serve, args=(client,), daemon=True).start()

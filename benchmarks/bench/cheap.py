"""A Kinesis that takes everything and keeps nothing, for where moto's own time would hide ours.

It reads each request whole, counts its records, and answers them with rising sequence numbers; one
process, some microseconds a record.
"""

import asyncio
import itertools
import json

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


async def _serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    while head := await _head(reader):
        lines = head.lower().split(b"\r\n")
        fields = {line.partition(b":")[0]: line.partition(b":")[2].strip() for line in lines}
        if fields.get(b"expect"):
            writer.write(b"HTTP/1.1 100 Continue\r\n\r\n")
        body = await reader.readexactly(int(fields[b"content-length"]))
        if fields[b"x-amz-target"].endswith(b".putrecords"):
            answer = json.dumps(
                {
                    "FailedRecordCount": 0,
                    "Records": [
                        {"SequenceNumber": str(next(_NUMBERS)), "ShardId": "shardId-000000000000"}
                        for _ in range(body.count(b'"PartitionKey"'))
                    ],
                }
            ).encode()
        else:
            answer = json.dumps(_SUMMARY).encode()
        writer.write(
            b"HTTP/1.1 200 OK\r\nContent-Type: application/x-amz-json-1.1\r\n"
            b"Content-Length: %d\r\n\r\n" % len(answer)
        )
        writer.write(answer)
        await writer.drain()
    writer.close()


async def _head(reader: asyncio.StreamReader) -> bytes:
    try:
        return await reader.readuntil(b"\r\n\r\n")
    except (asyncio.IncompleteReadError, ConnectionResetError):
        return b""


def serve(port: int) -> None:
    """Serve for ever."""

    async def run() -> None:
        server = await asyncio.start_server(_serve, "127.0.0.1", port, limit=2**26)
        await server.serve_forever()

    asyncio.run(run())

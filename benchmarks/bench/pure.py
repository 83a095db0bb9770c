"""A binlog read by the pure-Python `mysql-replication` package."""

import json

from pymysqlreplication import BinLogStreamReader
from pymysqlreplication.row_event import UpdateRowsEvent

from bench.job import Job, clock_of, each_shard, plain_client, put
from smug_platform.capture.resources import open_store
from smug_platform.settings import Shard


def pure_python(job: Job) -> tuple[float, float]:
    """The `mysql-replication` package, its rows as JSON, put 500 at a time."""
    clock, stream = clock_of(job), job.settings.stream

    def run(shard: Shard) -> None:
        state = open_store(job.settings).state(shard.name)
        assert state is not None
        assert state.log is not None
        client = plain_client(stream)
        reader = BinLogStreamReader(
            connection_settings={
                "host": shard.host, "port": shard.port, "user": shard.user,
                "passwd": shard.password,
            },
            server_id=900 + shard.port % 100,
            log_file=state.log[0],
            log_pos=state.log[1],
            resume_stream=True,
            only_events=[UpdateRowsEvent],
            only_tables=[job.source.tables[0].name],
        )  # fmt: skip
        for event in reader:
            clock.begin()
            entries = [
                {
                    "Data": json.dumps(
                        {
                            "before": row["before_values"],
                            "after": row["after_values"],
                            "file": reader.log_file,
                            "pos": reader.log_pos,
                        },
                        default=str,
                    ).encode(),
                    "PartitionKey": str(row["after_values"]["id"]),
                }
                for row in event.rows
            ]
            put(client, stream.name, entries)
            clock.count(shard.name, len(entries))
            if clock.left[shard.name] <= 0:
                break
        reader.close()

    return each_shard(job, clock, run)

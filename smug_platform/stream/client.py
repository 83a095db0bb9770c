"""The edge to Kinesis: a client, the stream itself, and what its errors mean."""

from typing import TYPE_CHECKING, Any

import boto3
import botocore.session
from botocore.config import Config
from botocore.exceptions import ClientError, ConnectionError, HTTPClientError, NoCredentialsError

from smug_platform.aws import code
from smug_platform.capture.sink import StreamRestarted
from smug_platform.errors import StreamError
from smug_platform.settings import StreamSettings
from smug_platform.stream.request import write_bodies

if TYPE_CHECKING:
    from mypy_boto3_kinesis import KinesisClient

MISSING = "ResourceNotFoundException"
THROTTLED = (
    "ProvisionedThroughputExceededException",
    "LimitExceededException",
    "ThrottlingException",
    "KMSThrottlingException",
)
EXPIRED_ITERATOR = "ExpiredIteratorException"

LOST_CONNECTION = (ConnectionError, HTTPClientError)
"""What botocore raises when the endpoint is away or goes away."""


class Unreachable(StreamRestarted):
    """The endpoint does not answer, or asks to be left alone for a while: it may pass."""


def kinesis_client(settings: StreamSettings) -> "KinesisClient":
    """A client that never retries by itself: who calls it knows what may be sent again.

    A stand-in on this machine gets made-up credentials, so that none are needed; an endpoint on
    AWS (of a VPC, or FIPS) gets the real ones.
    """
    config = Config(
        connect_timeout=3,
        read_timeout=30,
        retries={"total_max_attempts": 1},
        max_pool_connections=16,
        tcp_keepalive=True,
    )
    made_up: dict[str, Any] = {}
    if settings.is_local:
        made_up = {"aws_access_key_id": "local", "aws_secret_access_key": "local"}
    session = boto3.session.Session(botocore_session=botocore.session.Session())
    client = session.client(
        "kinesis",
        region_name=settings.region,
        endpoint_url=settings.endpoint,
        config=config,
        **made_up,
    )
    write_bodies(client)
    return client


def ensure_stream(client: "KinesisClient", settings: StreamSettings) -> None:
    """Create the stream unless it is there, and wait until it can be used; raises StreamError."""
    try:
        client.describe_stream_summary(StreamName=settings.name)
    except ClientError as error:
        if code(error) != MISSING:
            raise refusal(error, settings.name) from None
        client.create_stream(StreamName=settings.name, ShardCount=settings.shards)
        client.get_waiter("stream_exists").wait(
            StreamName=settings.name, WaiterConfig={"Delay": 1, "MaxAttempts": 120}
        )
    except (NoCredentialsError, *LOST_CONNECTION) as error:
        raise unreachable(error, settings.name) from None


def describe(client: "KinesisClient", stream: str) -> tuple[str, int]:
    """The incarnation of a stream, and its retention in seconds; raises StreamError.

    The incarnation changes when the stream is created anew, under the same name or not.
    """
    try:
        summary = client.describe_stream_summary(StreamName=stream)["StreamDescriptionSummary"]
    except ClientError as error:
        raise refusal(error, stream) from None
    except (NoCredentialsError, *LOST_CONNECTION) as error:
        raise unreachable(error, stream) from None
    created = summary["StreamCreationTimestamp"].timestamp()
    return f"{summary['StreamARN']}@{created:.3f}", summary["RetentionPeriodHours"] * 3600


def passes(error: ClientError) -> bool:
    """Whether the same request may succeed later."""
    status = error.response.get("ResponseMetadata", {}).get("HTTPStatusCode", 0)
    return code(error) in THROTTLED or status >= 500


class StreamMissing(StreamError):
    """There is no stream of that name."""


def refusal(error: ClientError, stream: str) -> StreamError:
    """The error for an answer: `Unreachable` for what may pass, else what no retry will change."""
    if passes(error):
        return Unreachable(
            f"Kinesis can't serve stream {stream!r} now ({error})",
            remedy="try again in a while; if it stays so, look at the account's limits",
        )
    if code(error) == MISSING:
        return StreamMissing(
            f"stream {stream!r} does not exist",
            remedy="create it (locally: smug up), or correct the environment's settings",
        )
    return StreamError(
        f"Kinesis refuses a request to stream {stream!r}: {error}",
        remedy="check the credentials and their rights",
    )


def unreachable(error: Exception, stream: str) -> Unreachable:
    """The error for an endpoint that does not answer."""
    return Unreachable(
        f"Kinesis can't be reached for stream {stream!r} ({error})",
        remedy="start it (locally: smug up), or check network and credentials",
    )

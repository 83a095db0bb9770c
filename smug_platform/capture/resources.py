"""The edge to what capture's workers share, as the settings name it."""

from smug_platform.capture.dynamo import DynamoItems, dynamo_client
from smug_platform.capture.items import SqliteItems
from smug_platform.capture.store import Store
from smug_platform.settings import Settings


def open_store(settings: Settings) -> Store:
    """The store of an environment; nothing is read or made yet."""
    store = settings.store
    if store.table is None:
        return Store(SqliteItems(settings.home / "capture" / "state.db"), seconds=store.seconds)
    return Store(DynamoItems(dynamo_client(store), store.table), seconds=store.seconds)


def prepare_store(settings: Settings) -> str | None:
    """Make the table where it is one of DynamoDB; its name, None on one machine."""
    store = settings.store
    if store.table is not None:
        DynamoItems(dynamo_client(store), store.table).prepare()
    return store.table

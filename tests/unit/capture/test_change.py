import orjson
import pytest

from smug_platform.capture.change import Change, encode


@pytest.mark.parametrize(
    "change",
    [
        Change("shard_0.f.photos", b'{"id":18446744073709551615}', '{"x":"ö\\n"}'.encode()),
        Change("shard_0", b'{"databaseName":"flickr"}', b'{"ddl":"ALTER TABLE \\"t\\""}'),
        Change("shard_0.flickr.photo_views", None, b'{"op":"r"}', 7),
    ],
    ids=["row", "schema", "keyless"],
)
def test_the_envelope_is_what_its_parts_say(change: Change):
    found = orjson.loads(encode(change, 3))
    assert found["epoch"] == 3
    assert found["topic"] == change.topic
    assert found["key"] == (orjson.loads(change.key) if change.key else None)
    assert found["value"] == orjson.loads(change.value)
    assert found.get("number", 0) == change.number


def test_numbers_of_any_size_pass_through_untouched():
    number = b"123456789012345678901234567890.123456789"
    assert number in encode(Change("t", None, b'{"x":%b}' % number), 1)

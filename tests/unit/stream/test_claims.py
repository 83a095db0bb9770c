from pathlib import Path

import orjson
import pytest

from smug_platform.errors import StreamError
from smug_platform.stream.claims import BadClaim, Claims


@pytest.fixture
def claims(tmp_path: Path) -> Claims:
    return Claims(f"file://{tmp_path}/claims")


def _object(claim: bytes) -> Path:
    return Path(orjson.loads(claim)["claim"]["uri"].removeprefix("file://"))


def test_what_is_stored_comes_back(claims: Claims):
    claim = claims.store(b'{"x":1}' * 1000)
    assert len(claim) < 400
    assert claims.resolve(claim) == b'{"x":1}' * 1000


def test_what_is_no_claim_is_itself(claims: Claims):
    assert claims.resolve(b'{"epoch":1}') == b'{"epoch":1}'


def test_one_record_stored_twice_is_one_object(claims: Claims, tmp_path: Path):
    assert claims.store(b"x") == claims.store(b"x")
    assert len([path for path in tmp_path.rglob("*") if path.is_file()]) == 1


def test_a_half_written_object_is_written_again(claims: Claims):
    claim = claims.store(b"abcdef")
    _object(claim).write_bytes(b"abc")
    claims.store(b"abcdef")
    assert claims.resolve(claim) == b"abcdef"


@pytest.mark.parametrize(
    "damage", [b"", b"abcdeX", None], ids=["M10-cut", "M10-changed", "M10-gone"]
)
def test_an_object_that_is_not_what_was_stored_is_told(claims: Claims, damage: bytes | None):
    claim = claims.store(b"abcdef")
    if damage is None:
        _object(claim).unlink()
    else:
        _object(claim).write_bytes(damage)
    with pytest.raises(BadClaim):
        claims.resolve(claim)


@pytest.mark.parametrize(
    "claim",
    [
        b'{"claim":',
        b'{"claim":{}}',
        b'{"claim":{"uri":"file:///etc/hostname","sha256":"","bytes":1}}',
    ],
)
def test_a_claim_that_makes_no_sense_is_told(claims: Claims, claim: bytes):
    with pytest.raises(BadClaim):
        claims.resolve(claim)


def test_a_store_that_cannot_be_written_has_a_remedy(tmp_path: Path):
    (tmp_path / "file").touch()
    with pytest.raises(StreamError, match="make that place writable") as told:
        Claims(f"file://{tmp_path}/file/claims").store(b"x")
    assert told.value.passes


def test_a_store_that_cannot_be_read_now_may_be_read_later(claims: Claims):
    claim = claims.store(b"x")
    _object(claim).unlink()
    _object(claim).mkdir()
    with pytest.raises(StreamError, match="check the claim store") as told:
        claims.resolve(claim)
    assert told.value.passes


def test_a_missing_right_does_not_pass(claims: Claims, monkeypatch: pytest.MonkeyPatch):
    def refuse(*_: object) -> None:
        raise PermissionError("no")

    monkeypatch.setattr(claims, "_write", refuse)
    with pytest.raises(StreamError) as told:
        claims.store(b"x")
    assert not told.value.passes

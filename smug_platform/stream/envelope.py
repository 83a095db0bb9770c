"""What a user record must look like to be one of ours."""

import orjson


class NotAnEnvelope(ValueError):
    """A user record that nobody here wrote."""


def check_envelope(data: bytes, *, plain: bool) -> None:
    """Ours are JSON objects. A plain record is parsed to see, one from a pack had a checksum.

    Raises NotAnEnvelope.
    """
    if not data.startswith(b"{"):
        raise NotAnEnvelope("the record is no JSON object")
    if plain:
        try:
            orjson.loads(data)
        except ValueError as error:
            raise NotAnEnvelope(f"the record is no JSON: {error}") from None

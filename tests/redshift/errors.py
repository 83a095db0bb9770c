"""What the stand-in says when it does not run a statement. The two marks are never mixed up.

`[refused]`: Redshift refuses it too, by its documentation. `[limit]`: Redshift takes it and this
stand-in does not, so a failure says nothing of the statement.
"""


class Refused(Exception):
    """A statement that is not run. code: SQLSTATE; detail: the reply's DETAIL field."""

    def __init__(self, message: str, code: str = "0A000", detail: str | None = None) -> None:
        super().__init__(message)
        self.message = message
        self.code = code
        self.detail = detail


def unsupported(what: str) -> Refused:
    return Refused(f"{what} is not supported by Amazon Redshift [refused]")


def not_emulated(what: str) -> Refused:
    return Refused(f"{what}: valid on Redshift, not emulated by this stand-in [limit]")


def syntax_error(near: str) -> Refused:
    place = f'or near "{near}"' if near else "end of input"
    return Refused(f"syntax error at {place} [refused]", "42601")

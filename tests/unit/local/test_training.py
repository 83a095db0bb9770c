"""The record of what capture loads: what is said where none can be made."""

import logging

import pytest

from smug_platform.local import mariadb, training


def test_a_machine_without_a_server_is_told_in_a_line(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "/nowhere")
    monkeypatch.setattr(mariadb, "_SERVER_FOLDERS", "/nowhere")
    try:
        with pytest.raises(SystemExit, match=r"^error: .*apt-get install mariadb-server"):
            training.main()
    finally:
        logging.disable(logging.NOTSET)

"""The command line, `smug`. Its commands are thin: what they do is in the rest of the package.

Nothing heavy is imported before a command needs it: `smug --help` takes a quarter of a second.
"""

from smug_platform.cli.app import main

__all__ = ["main"]

"""`python -m smug_platform.cli`: the same as `smug`."""

from smug_platform.cli.app import main

main()

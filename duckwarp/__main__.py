"""`python -m duckwarp` is the command `duckwarp`."""

from duckwarp.cli.app import main

main()

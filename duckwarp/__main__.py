"""`python -m duckwarp` is the command `duckwarp`."""

from duckwarp.cli import main

main()

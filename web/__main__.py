"""`python -m web` is `tracker`."""

from web.cli import main

main()

"""`tracker`, which is also `python -m web`."""

import gc

# All that is loaded stays: to look for garbage among it again and again takes a fifth of the start.
gc.disable()
from web.cli import main  # noqa: E402

gc.enable()

if __name__ == "__main__":
    main()

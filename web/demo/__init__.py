"""`tracker demo`: a hub and national nodes on this machine, filled through their real interfaces, as people would fill them.

Nothing is written behind the application's back: sources seal and send over the documented API, staff open, check and publish over
theirs, and each step is believed only when it is seen at its far end. Every case is fictional.
"""

from web.demo.play import run

__all__ = ["run"]

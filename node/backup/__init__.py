"""Backups: a copy of a running node in one file, what may be said of such a file, and the way back from it to a node.

`archive` is the file, `snapshot` the database in it, `making` and `restoring` the two ways. One shape for both databases: a copy
of PostgreSQL is written as SQLite too, so it can be looked into without a server and be put back into either.
"""

from node.backup.archive import BadBackup, archives_in, newest_in
from node.backup.making import Last, Made, back_up, last_backup
from node.backup.restoring import Check, examine, restore

__all__ = [
    "BadBackup",
    "Check",
    "Last",
    "Made",
    "archives_in",
    "back_up",
    "examine",
    "last_backup",
    "newest_in",
    "restore",
]

"""One delivery: load the signed bytes, post them once (twice where a dialect is refused), say what came of it."""

import logging
from functools import lru_cache

from federation.delivery import Delivered, Gone, Later, Refused, backoff, post
from node.outbox import Dead, Done, Dropped, Job, Outcome, Postponed
from node.peers.actors import host_of
from node.peers.hosts import dialect_of, is_blocked, remember_dialect
from node.peers.sending import sent_activity
from node.runtime import Node

log = logging.getLogger(__name__)

LAST_ATTEMPT = 16

"""Sealing: age (C2SP) files with one hybrid recipient, and all that is built of them.

The names other rooms need. Pure: bytes in, bytes out, no clock, no files but the word list.
"""

from node.sealing.age import SealedHeader, inspect, inspect_start
from node.sealing.recipients import is_hybrid_recipient
from node.sealing.selftest import self_test

__all__ = ["SealedHeader", "inspect", "inspect_start", "is_hybrid_recipient", "self_test"]

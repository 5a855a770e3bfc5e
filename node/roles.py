"""NODE and HUB: which activities are handled, which jobs run, which pages open. The only file that knows both."""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

from node.casework import retention
from node.deliver import deliver, forget_old_answers, prepare_letters
from node.effects import following, groups, handlers, stamping
from node.effects.process import Handler, apart, prepare_arrivals, process, settle_arrivals
from node.inbox import keeping
from node.intake import duty
from node.intake.chores import forget_duties, purge_uploads
from node.outbox import Outcome, Settlement, Turn
from node.peers import blocklists, modes, network, synchronising, witness
from node.peers.actors import HEED
from node.peers.hosts import REST
from node.peers.sending import FORGET_ANSWERS, begin_forgetting
from node.runtime import Node
from node.settings import Settings
from node.upkeep import backfill, chores, forgetting, looking, rereading

JobHandler = Callable[[Node, Turn], Awaitable[Outcome]]


@dataclass(frozen=True, slots=True)
class Work:
    """How one kind of job is done.

    prepare  reads at once what many jobs need: job seq → whatever `run` is given for it. Any: each kind knows its own.
    run      does one job with what was prepared for it. Runs at least once; it may run twice. None: only when what the jobs
             before it in its lane left is settled.
    settle   makes ready, with no transaction open, what jobs leave behind that are done or dead, given what was prepared for
             them, in the order in which they ran. What it returns records that, in the transaction that ends them, and tells
             how many jobs for others it may have made.
    apart    makes of what was prepared for a job that left something what it is given to run by itself, leaving nothing: when
             it could not be settled. The same of one that left nothing.
    """

    prepare: Callable[[Node, Sequence[Turn]], Awaitable[Mapping[int, Any]]]
    run: Callable[[Node, Turn, Any], Awaitable[Outcome | None]]
    settle: Callable[[Node, Sequence[Any]], Awaitable[Settlement]] | None = None
    apart: Callable[[Any], Any] | None = None


ACTIVITIES: Mapping[str, Handler] = {
    "Follow": following.on_follow,
    "Accept": following.on_accept,
    "Reject": following.on_reject,
    "Undo": handlers.on_undo,
    "Create": handlers.on_create,
    "Update": handlers.on_update,
    "Delete": handlers.on_delete,
    "Announce": groups.on_announce,
    "Like": handlers.on_like,
    "EmojiReact": handlers.on_like,
    **dict.fromkeys(stamping.REQUESTS, stamping.on_request),
    "Flag": handlers.on_flag,
    "Block": following.on_block,
    "Move": following.on_move,
}


@dataclass(frozen=True, slots=True)
class Role:
    """What a server of this kind does."""

    name: str
    activities: Mapping[str, Handler]
    jobs: Mapping[str, JobHandler | Work]
    pages: frozenset[str]


def _jobs(**more: JobHandler) -> Mapping[str, JobHandler | Work]:
    return {
        "deliver": Work(prepare_letters, deliver),
        "process": Work(prepare_arrivals, partial(process, handlers=ACTIVITIES), settle_arrivals, apart),
        FORGET_ANSWERS: forget_old_answers,
        keeping.FORGET: chores.forget_received,
        "backfill": backfill.backfill,
        "ask-again": backfill.ask_again,
        HEED: chores.heed_searching,
        REST: chores.rest_cases,
        looking.KIND: looking.look_again,
        forgetting.KIND: forgetting.forget_strangers,
        "refresh-blocklist": blocklists.refresh,
        witness.KIND: witness.look,
        "synchronise": synchronising.synchronise,
        **more,
    }


async def begin(node: Node) -> None:
    """Start what ought to be under way when a process begins to work: a server may be older than one of its chores."""
    async with node.database.begin() as session:
        await backfill.catch_up(session, now=node.clock.now())
        if await modes.note_mode(session, node.settings.federation, now=node.clock.now()):
            await backfill.read_all_back(session, now=node.clock.now())
        await keeping.forget_tomorrow(session, now=node.clock.now())
        await looking.look_tomorrow(session, now=node.clock.now())
        await forgetting.forget_tomorrow(session, now=node.clock.now())
        await witness.watch_followed(session, node.settings.main_actor, now=node.clock.now())
        await begin_forgetting(session, now=node.clock.now())
        if not node.settings.is_hub:
            await rereading.reread_tomorrow(session, now=node.clock.now())
            await network.begin_reading(session, node.settings.hub, now=node.clock.now())
            await duty.forget_old(session, now=node.clock.now())


NODE = Role(
    "node",
    ACTIVITIES,
    _jobs(
        **{
            "notify-desk": chores.notify_desk,
            rereading.KIND: rereading.reread,
            "purge-uploads": purge_uploads,
            duty.FORGET: forget_duties,
            network.KIND: network.read_members,
            retention.JOB: retention.erase_records,
        }
    ),
    frozenset({"intake", "desk", "publications"}),
)
HUB = Role("hub", ACTIVITIES, _jobs(), frozenset({"hub", "publications"}))


def role_of(settings: Settings) -> Role:
    """The role these settings name."""
    return HUB if settings.is_hub else NODE

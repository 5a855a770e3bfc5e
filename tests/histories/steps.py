"""What people and fate do in a history, one value each, and what each comes to in the model. What cannot be done just then is not done."""

import json
from dataclasses import dataclass, replace
from itertools import chain
from typing import Any, Protocol

from hypothesis import strategies as st

from federation import cavage
from federation.errors import FederationError
from node.effects.proving import RefusedActivity
from node.effects.taking import fetch_case
from node.errors import NodeError
from node.hub.quarantine import waiting
from node.keyfiles import Generation
from node.keyring import Keyring
from node.peers import blocklists
from node.peers.changing import announce_move, tell_of_change
from node.peers.directory import find_remote
from node.peers.follows import follow, unfollow
from node.peers.hosts import decide
from node.peers.ours import LocalActor, local_actor_at, say_alias
from node.publishing.publish import correct, withdraw
from node.publishing.reactions import read_reply, show_reply
from node.runtime import Node
from tests.histories.world import HUB2, NEW, NODES, SAM, SITES, Case, Meeting, World
from tests.rig.keys import ed25519_key, rsa_key
from tests.rig.publications import a_case, publish_case
from tests.rig.stranger import Stranger
from vocab.errors import VocabError
from vocab.terms import ACTIVITY_JSON, PUBLIC

MINUTE, HOUR, DAY = 60, 3600, 86_400


class Step(Protocol):
    """Something that happens."""

    async def __call__(self, world: World) -> None:
        """Let it happen."""


# ---- who publishes --------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Publish:
    """Two people of a node publish a case, or several in one moment."""

    by: str
    number: int = 1

    async def __call__(self, world: World) -> None:
        for _ in range(self.number):
            await self._publish(world)

    async def _publish(self, world: World) -> None:
        if (node := world.up(self.by)) is None:
            return
        word = f"bramble{world.number()}thorn"
        publication = await publish_case(node, a_case(**_words(word)))
        world.cases.append(Case(self.by, publication, [word], [world.clock.now()]))


@dataclass(frozen=True)
class Correct:
    """A case is corrected, to concern another State than it did."""

    pick: int

    async def __call__(self, world: World) -> None:
        case = world.case(self.pick)
        if case is None or (node := world.up(case.home)) is None:
            return
        word = f"bramble{world.number()}thorn"
        note = {"date": world.clock.now().date().isoformat(), "text": {"en": f"It was {word}."}}
        state = ("IE", "FR")[len(case.words) % 2]
        async with node.database.begin() as session:
            await correct(
                session, node.settings, node.keyring, case_id=case.publication.case_id,
                case=a_case(**_words(word), state=state, corrections=[note]), drafted_by="x", approved_by="y", now=world.clock.now(),
            )  # fmt: skip
        await node.bell.ring()
        case.words.append(word)
        case.times.append(world.clock.now())


@dataclass(frozen=True)
class Withdraw:
    """A case is withdrawn."""

    pick: int

    async def __call__(self, world: World) -> None:
        case = world.case(self.pick)
        if case is None or (node := world.up(case.home)) is None:
            return
        async with node.database.begin() as session:
            await withdraw(
                session, node.settings, node.keyring, case_id=case.publication.case_id, reason="factual-error",
                proposed_by="x", approved_by="y", now=world.clock.now(),
            )  # fmt: skip
        await node.bell.ring()
        case.withdrawn_at = world.clock.now()


def _words(word: str) -> dict[str, Any]:
    return {
        "title": {"en": f"Families kept in emergency rooms of {word}"},
        "summary": {"en": word + " and on" * 20},
    }


# ---- who follows whom -----------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Follow:
    """A server asks to follow another; at a hub that is how a member is admitted."""

    by: str
    whom: str

    async def __call__(self, world: World) -> None:
        node = world.up(self.by)
        if node is None or self.by == self.whom or not world.is_there(self.whom):
            return
        try:
            them = await find_remote(node, world.actor(self.whom))
        except FederationError:
            return
        try:
            async with node.database.begin() as session:
                await follow(
                    session, node.settings, node.keyring, us=_main(node), them=them, now=world.clock.now()
                )
        except NodeError:
            # A closed server follows nobody.
            return
        world.asked(self.by, self.whom)


@dataclass(frozen=True)
class Unfollow:
    """A server follows another no more; a hub drops a member."""

    by: str
    whom: str

    async def __call__(self, world: World) -> None:
        node = world.up(self.by)
        if node is None or self.by == self.whom or not world.is_there(self.whom):
            return
        try:
            them = await find_remote(node, world.actor(self.whom))
        except FederationError:
            return
        async with node.database.begin() as session:
            gone = await unfollow(
                session, node.settings, node.keyring, us=_main(node), them=them, now=world.clock.now()
            )
        if gone:
            world.ends(self.by, self.whom)


@dataclass(frozen=True)
class Decide:
    """The people of a server decide about another: block, limit, allow, or lift what was decided."""

    by: str
    about: str
    policy: str | None

    async def __call__(self, world: World) -> None:
        node = world.up(self.by)
        if node is None or self.by == self.about or not world.is_there(self.about):
            return
        async with node.database.begin() as session:
            await decide(session, world.host(self.about), self.policy, reason="", now=world.clock.now())
        world.decided(self.by, self.about)
        if self.policy == "block":
            world.ends(self.by, self.about)
            world.ends(self.about, self.by)


@dataclass(frozen=True)
class Subscribe:
    """A node follows the hub's list of hosts, or no more."""

    by: str
    on: bool

    async def __call__(self, world: World) -> None:
        if (node := world.up(self.by)) is None:
            return
        url = f"{world.actor('hub')}/blocklist"
        try:
            if self.on:
                await blocklists.subscribe(node, url)
            else:
                async with node.database.begin() as session:
                    await blocklists.unsubscribe(session, url, now=world.clock.now())
        except (FederationError, NodeError):
            return
        for about in (*world.sites, SAM):
            world.decided(self.by, about)


# ---- fate -----------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Passes:
    """Time passes, and what is due is done."""

    seconds: int

    async def __call__(self, world: World) -> None:
        await world.passes(self.seconds)


@dataclass(frozen=True)
class Down:
    """A server cannot be reached any more."""

    name: str

    async def __call__(self, world: World) -> None:
        await world.stop(self.name)


@dataclass(frozen=True)
class Up:
    """It can be reached again, with what it had."""

    name: str

    async def __call__(self, world: World) -> None:
        await world.start(self.name)


@dataclass(frozen=True)
class Away:
    """A server is away for as long as that."""

    name: str
    seconds: int

    async def __call__(self, world: World) -> None:
        await world.stop(self.name)
        await world.note()
        await world.passes(self.seconds)
        await world.start(self.name)


@dataclass(frozen=True)
class Killed:
    """A worker is killed between what it did and its commit."""

    name: str

    async def __call__(self, world: World) -> None:
        await world.killed(self.name)


@dataclass(frozen=True)
class Fate:
    """What happens to the next delivery to a server: refused, cut, unanswered though it was taken, or twice there."""

    name: str
    kind: str

    async def __call__(self, world: World) -> None:
        world.fates[self.name].append(self.kind)


@dataclass(frozen=True)
class Again:
    """What was delivered before comes once more, from the wire; but for what was refused to Sam, who could say it anew."""

    pick: int

    async def __call__(self, world: World) -> None:
        hosts = {world.host(name): name for name in world.sites if world.up(name)}
        posts = [
            one
            for one in world.town.wires.carried
            if one.method == "POST" and one.url.netloc.decode() in hosts and one.content not in world.refused
        ]
        if posts:
            request = posts[-1 - self.pick % len(posts)]
            await world.gates[hosts[request.url.netloc.decode()]].let_in(request)


@dataclass(frozen=True)
class Guard:
    """From now on a server serves its documents only to who signs and is not shut out, or to everybody again."""

    name: str
    on: bool

    async def __call__(self, world: World) -> None:
        if world.up(self.name) is not None:
            await world.town.stop(self.name)
            site = world.town[self.name]
            site.settings = replace(site.settings, authorized_fetch=self.on)
            await world.start(self.name)


@dataclass(frozen=True)
class Mode:
    """From now on a server speaks with everybody, or with fewer (TRACKER_FEDERATION)."""

    name: str
    mode: str

    async def __call__(self, world: World) -> None:
        if world.up(self.name) is not None:
            await world.change_mode(self.name, self.mode)


@dataclass(frozen=True)
class Then:
    """Something happens when a page of an outbox is read, before that is written or after."""

    step: Step
    is_after: bool

    def __call__(self, world: World) -> Meeting:
        async def happen() -> None:
            await self.step(world)
            await world.note()

        return Meeting(after=happen) if self.is_after else Meeting(before=happen)


@dataclass(frozen=True)
class Torn:
    """A page of an outbox is refused, or the answer is cut."""

    kind: str

    def __call__(self, world: World) -> Meeting:
        return Meeting(self.kind)


@dataclass(frozen=True)
class Reads:
    """A server follows another, anew where it does already, and its outbox is read; this happens to one page of it after the other."""

    by: str
    whom: str
    meanwhile: tuple[Then | Torn, ...]

    async def __call__(self, world: World) -> None:
        if not world.is_there(self.whom) or self.by == self.whom:
            return
        meetings = world.meetings[self.whom]
        meetings[:] = [one(world) for one in self.meanwhile]
        await Follow(self.by, self.whom)(world)
        await world.settle()
        meetings.clear()


@dataclass(frozen=True)
class LetIn:
    """The people of a hub let in a case that was kept out."""

    hub: str
    pick: int

    async def __call__(self, world: World) -> None:
        if (node := world.up(self.hub)) is None:
            return
        async with node.database.read() as session:
            urls = [one.id for one in await waiting(session)]
        if not urls:
            return
        url = urls[self.pick % len(urls)]
        try:
            await fetch_case(node, url, invited=True)
        except (FederationError, NodeError, RefusedActivity, VocabError):
            return
        world.let_in[self.hub, url] = world.clock.now()


@dataclass(frozen=True)
class Save:
    """Somebody makes a backup of a server."""

    name: str

    async def __call__(self, world: World) -> None:
        await world.save(self.name)


@dataclass(frozen=True)
class Restore:
    """A server is lost, and comes back from its backup, perhaps with the keys that it had then."""

    name: str
    with_keys: bool = False

    async def __call__(self, world: World) -> None:
        await world.restore(self.name, with_keys=self.with_keys)


@dataclass(frozen=True)
class NewKeys:
    """A node has new keys: rotated, or because the old ones were lost."""

    name: str
    lost: bool

    async def __call__(self, world: World) -> None:
        if (node := world.up(self.name)) is None:
            return
        now = world.clock.now().replace(microsecond=0)
        old = node.keyring
        retired = Generation(
            number=old.generation,
            rsa=old.signer("x", "rsa").public.pem,
            ed25519=old.signer("x", "ed25519").public.multibase,
            made_at=old.former[-1].retired_at if old.former else old.born,
            retired_at=now,
            is_lost=self.lost,
        )
        # After a restore it may be the second that has that number.
        name = f"{self.name} {old.generation + 1} {world.number()}"
        renewed = Keyring(
            rsa_key(name),
            ed25519_key(name),
            ed25519_key(f"root of {self.name}"),
            born=old.born,
            former=(*old.former, retired),
            secret=old._secret,
        )
        async with node.database.begin() as session:
            says = renewed if self.lost else old
            await tell_of_change(session, node.settings, says, shown=renewed, now=now)
        node.keyring.take_over(renewed)
        world.keyrings[self.name] = renewed


# ---- the server of somebody else ------------------------------------------------------------------------------------


@dataclass(frozen=True)
class NodeMoves:
    """A node has a new server under another name, or goes on as another that there is, and says so at both; once in a history."""

    who: str
    to: str = NEW

    async def __call__(self, world: World) -> None:
        if world.moves or self.who == self.to or world.up(self.who) is None:
            return
        if not world.is_there(self.to):
            await world.open(self.to)
        if world.up(self.to) is not None:
            await _move(world, self.who, self.to)


@dataclass(frozen=True)
class NodeReturns:
    """Who moved is again where they were before."""

    async def __call__(self, world: World) -> None:
        for old, new in list(world.moves.items()):
            if world.up(old) and world.up(new):
                await _move(world, new, old)


async def _move(world: World, old: str, new: str) -> None:
    """As two operators do it: `tracker keys also-known-as` there, then `tracker keys announce-move` here."""
    before, after = world.town[old].node, world.town[new].node
    now = world.clock.now()
    try:
        them = await find_remote(after, before.settings.main_actor)
        async with after.database.begin() as session:
            await say_alias(session, after.settings.main_actor, them.id, "also-known-as", now=now)
        await announce_move(before, after.settings.main_actor)
    except (FederationError, NodeError):
        return
    await world.node_moved(old, new)


@dataclass(frozen=True)
class Opens:
    """A hub more, which may follow nodes, the other hub, and be followed; or a node more."""

    name: str = HUB2

    async def __call__(self, world: World) -> None:
        if not world.is_there(self.name):
            await world.open(self.name)


@dataclass(frozen=True)
class SamFollows:
    """Sam follows a server, or what a hub passes on, or takes it back."""

    whom: str
    relay: bool
    on: bool

    async def __call__(self, world: World) -> None:
        if not world.is_there(self.whom):
            return
        what = PUBLIC if self.relay and self.whom in world.hubs else world.actor(self.whom)
        said = world.said("Follow", what)
        if not self.on:
            said = world.said("Undo", said)
        if await world.sam_posts(self.whom, said) and what != PUBLIC:
            (world.asked if self.on else world.ends)(SAM, self.whom)


@dataclass(frozen=True)
class SamAnswers:
    """Sam accepts or rejects who asked to follow."""

    whom: str
    accepts: bool

    async def __call__(self, world: World) -> None:
        if not world.is_there(self.whom):
            return
        asked = [
            one
            for one in world.sam.received
            if one["type"] == "Follow" and one["actor"] == world.actor(self.whom)
        ]
        if asked:
            said = world.said("Accept" if self.accepts else "Reject", asked[-1])
            if await world.sam_posts(self.whom, said) and not self.accepts:
                world.ends(self.whom, SAM)


@dataclass(frozen=True)
class SamReacts:
    """Sam likes or boosts a case, or takes that back."""

    kind: str
    pick: int
    on: bool

    async def __call__(self, world: World) -> None:
        if (case := world.case(self.pick)) is None:
            return
        verb, kind = {"like": ("Like", "like"), "boost": ("Announce", "boost")}[self.kind]
        said = world.said(verb, case.url)
        if not self.on:
            said = world.said("Undo", said)
        if await world.sam_posts(case.home, said):
            await world.reacted(case.home, (kind, case.url), self.on)


@dataclass(frozen=True)
class SamTakesBackFirst:
    """Sam likes or boosts a case and takes that back, and the Undo is quicker: the other comes afterwards, or never."""

    kind: str
    pick: int
    comes: bool

    async def __call__(self, world: World) -> None:
        if (case := world.case(self.pick)) is None:
            return
        verb, kind = {"like": ("Like", "like"), "boost": ("Announce", "boost")}[self.kind]
        said = world.said(verb, case.url)
        if not await world.sam_posts(case.home, world.said("Undo", said)):
            return
        await world.reacted(case.home, (kind, case.url), False)
        if self.comes:
            await world.settle()
            await world.sam_posts(case.home, said)


@dataclass(frozen=True)
class SamWrites:
    """Sam answers or quotes a case; the desk shows the answer, or Sam takes it back."""

    pick: int
    what: str

    async def __call__(self, world: World) -> None:
        if (case := world.case(self.pick)) is None:
            return
        notes = [url for kind, url in world.reactions if kind == "reply" and world.notes[url] == case.url]
        match self.what:
            case "reply" | "quote":
                url = f"https://{world.sam.host}/notes/{world.number()}"
                naming = {"inReplyTo": case.url} if self.what == "reply" else {"quoteUri": case.url}
                note = {
                    "id": url,
                    "type": "Note",
                    "attributedTo": world.sam.id,
                    "content": "<p>Quite so.</p>",
                    "to": [PUBLIC],
                } | naming
                world.sam.documents[url.partition(world.sam.host)[2]] = {"@context": CONTEXT, **note}
                if await world.sam_posts(case.home, world.said("Create", note) | {"@context": CONTEXT}):
                    world.notes[url] = case.url
                    await world.reacted(case.home, (self.what, url), True)
            case "delete" if notes:
                url = notes[-1]
                if await world.sam_posts(case.home, world.said("Delete", url)):
                    await world.reacted(case.home, ("reply", url), False)
            case "show" if notes and (node := world.up(case.home)):
                try:
                    text = await read_reply(node, notes[-1])
                    async with node.database.begin() as session:
                        await show_reply(session, notes[-1], text, by="desk", now=world.clock.now())
                except (FederationError, NodeError):
                    return


CONTEXT = ["https://www.w3.org/ns/activitystreams", {"quoteUri": "http://fedibird.com/ns#quoteUri"}]


@dataclass(frozen=True)
class SamFetches:
    """Sam's server fetches a case, signed."""

    pick: int

    async def __call__(self, world: World) -> None:
        case = world.case(self.pick)
        if case is None or world.up(case.home) is None or not world.sam_is_up:
            return
        signed = cavage.sign("GET", case.url, signer=world.sam.signer(), now=world.clock.now())
        headers = {name.decode(): value.decode() for name, value in signed} | {"accept": ACTIVITY_JSON}
        async with world.town.visitor(case.home) as http:
            answer = await http.get(case.url, headers=headers)
        # Of whom it does not speak with it remembers nothing.
        if answer.status_code == 200 and SAM not in world.deaf[case.home]:
            world.fetched.append((case.url, len(world.sam.received)))


@dataclass(frozen=True)
class SamBlocks:
    """Sam wants nothing of a server any more."""

    whom: str

    async def __call__(self, world: World) -> None:
        if not world.is_there(self.whom):
            return
        if await world.sam_posts(self.whom, world.said("Block", world.actor(self.whom))):
            world.ends(SAM, self.whom)
            world.ends(self.whom, SAM)


@dataclass(frozen=True)
class SamMoves:
    """Sam lives on another server from now on, and says so at both; once in a history."""

    async def __call__(self, world: World) -> None:
        if world.has_moved or not world.sam_is_up:
            return
        await world.settle()
        old, new = world.sam, Stranger(world.town, "new.example", SAM, key="peer")
        # One and the same letter box: what comes to the one comes to Sam.
        new.received = old.received
        old.documents[f"/users/{SAM}"] = old.actor(movedTo=new.id)
        new.documents[f"/users/{SAM}"] = new.actor(alsoKnownAs=[old.id])
        told = [
            name
            for name in world.sites
            if await world.is_open(name)
            and await world.sam_posts(name, world.said("Move", old.id) | {"target": new.id})
        ]
        # What either server of Sam's says is in a line of its own: the Move must not be overtaken.
        await world.settle()
        world.moved(new, told)


@dataclass(frozen=True)
class SamPassesOn:
    """Sam brings a server what somebody else once said, as it was or wrapped."""

    to: str
    pick: int
    wrapped: bool

    async def __call__(self, world: World) -> None:
        told = [one.content for one in world.town.wires.carried if one.method == "POST"]
        if not told:
            return
        body = told[-1 - self.pick % len(told)]
        said = json.loads(body)
        if said["actor"] == world.sam.id:
            return
        await world.sam_posts(self.to, world.said("Announce", said) if self.wrapped else body)


# ---- any of them ----------------------------------------------------------------------------------------------------

_nodes, _sites = st.sampled_from((*NODES, NEW)), st.sampled_from((*SITES, NEW, HUB2))
_all = st.sampled_from((*SITES, NEW, HUB2, SAM))
_picks = st.integers(0, 4)
_bools = st.booleans()
_modes = st.sampled_from(["open", "open", "members", "limited", "limited", "closed"])
_moments = st.sampled_from([0, 1, MINUTE, 10 * MINUTE, HOUR, 6 * HOUR, DAY, 3 * DAY])
_absences = st.sampled_from([5 * MINUTE, 3 * HOUR, DAY, 6 * DAY, 36 * DAY])

# What may happen while a page is read.
_INSTANTS: st.SearchStrategy[Step] = st.one_of(
    st.builds(Publish, _nodes),
    st.builds(Correct, _picks),
    st.builds(Correct, _picks),
    st.builds(Withdraw, _picks),
    st.builds(Withdraw, _picks),
    st.builds(Follow, _sites, _all),
    st.builds(Unfollow, _sites, _all),
    st.builds(Decide, _sites, _all, st.sampled_from(["block", "limit", "allow", None])),
    st.builds(NewKeys, _sites, _bools),
    st.builds(LetIn, st.just("hub"), _picks),
)

_ON_A_PAGE = st.one_of(
    st.builds(Then, _INSTANTS, _bools),
    st.builds(Then, _INSTANTS, _bools),
    st.builds(Then, _INSTANTS, _bools),
    st.builds(Torn, st.sampled_from(["refused", "cut"])),
)

# How often beside the others, and what.
_KINDS: tuple[tuple[int, st.SearchStrategy[Step]], ...] = (
    (6, st.builds(Passes, _moments)),
    (3, st.builds(Publish, _nodes, st.sampled_from([1, 1, 1, 5]))),
    (4, st.builds(Follow, _sites, _all)),
    (2, st.builds(Correct, _picks)),
    (2, st.builds(Withdraw, _picks)),
    (2, st.builds(Unfollow, _sites, _all)),
    (1, st.builds(Decide, _sites, _all, st.sampled_from(["block", "limit", "allow", None]))),
    (1, st.builds(Subscribe, _nodes, _bools)),
    (1, st.builds(Down, _all)),
    (2, st.builds(Up, _all)),
    (1, st.builds(Away, _all, _absences)),
    (2, st.builds(Killed, _sites)),
    (2, st.builds(Fate, _sites, st.sampled_from(["refused", "cut", "unanswered", "twice"]))),
    (2, st.builds(Again, _picks)),
    (1, st.builds(Guard, _sites, _bools)),
    (2, st.builds(Mode, _sites, _modes)),
    (4, st.builds(Reads, _sites, _nodes, st.lists(_ON_A_PAGE, min_size=1, max_size=4).map(tuple))),
    (1, st.builds(LetIn, st.sampled_from(["hub", HUB2]), _picks)),
    (1, st.builds(Save, _sites)),
    (1, st.builds(Restore, _sites, _bools)),
    (1, st.builds(NewKeys, _sites, _bools)),
    (2, st.builds(NodeMoves, st.sampled_from(NODES), st.sampled_from((*NODES, NEW, NEW)))),
    (1, st.builds(NodeReturns)),
    (1, st.builds(Opens, st.sampled_from((NEW, HUB2)))),
    (2, st.builds(SamFollows, _sites, _bools, _bools)),
    (1, st.builds(SamAnswers, _sites, _bools)),
    (2, st.builds(SamReacts, st.sampled_from(["like", "boost"]), _picks, _bools)),
    (1, st.builds(SamTakesBackFirst, st.sampled_from(["like", "boost"]), _picks, _bools)),
    (2, st.builds(SamWrites, _picks, st.sampled_from(["reply", "show", "delete", "quote"]))),
    (1, st.builds(SamFetches, _picks)),
    (1, st.builds(SamBlocks, _sites)),
    (1, st.builds(SamMoves)),
    (2, st.builds(SamPassesOn, _sites, st.integers(0, 30), _bools)),
)
_STEPS = st.one_of(*(kind for weight, kind in _KINDS for _ in range(weight)))


def histories(chapters: int) -> st.SearchStrategy[list[Step]]:
    """Histories of some five steps a chapter; each chapter can be left out for a shorter one that fails as well."""
    begun = st.lists(st.builds(Mode, st.sampled_from(SITES), _modes), max_size=2)
    written = st.tuples(begun, *[st.lists(_STEPS, max_size=10)] * chapters)
    return written.map(lambda found: list(chain.from_iterable(found)))


def _main(node: Node) -> LocalActor:
    us = local_actor_at(node.settings, node.settings.main_actor)
    assert us is not None
    return us

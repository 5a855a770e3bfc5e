"""The story the demonstration tells, step by step."""

import asyncio
import json
import tempfile
from collections.abc import Awaitable, Callable, Mapping
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any

from node.sealing.attachments import File
from node.sealing.objects import ObjectType
from node.sealing.receipts import new_receipt
from vocab import samples
from vocab.sourceform import Purpose, bundled
from web.demo.drawing import a_closed_door
from web.demo.people import Colleague, Source, Unexpected
from web.demo.stage import Play, Told, keep, print_addresses, recall, stage, until_interrupted

SEEN_WITHIN = 30.0
SEALED = ("sender_contact_name", "sender_contact_value")
WORDS_IN_PASSPHRASE = 5
PROMISED_HOURS = 24
# A State in which no node of the demonstration works, nor any sample case happened.
NOBODY_THERE = "is"
PICTURE_SHOWS = "A closed door with a notice on it. (fictional drawing)"
# What a source tells openly to the desk; how it was checked, and all that follows, is not theirs to write.
SENT = [
    "kind",
    "language",
    "state",
    "provisions",
    "article_e",
    "discrimination_grounds",
    "violation_types",
    "civic_space_types",
    "good_practice_types",
    "good_practice_source",
    "transferability",
    "results_evidence",
    "contexts",
    "integrated_rights",
    "region",
    "groups",
    "scale",
    "actors",
    "started_on",
    "ended_on",
    "ongoing",
    "evidence_types",
    "public_sources",
    "domestic_steps",
]


async def run(
    *,
    nodes: int,
    port: int,
    data: Path | None,
    once: bool,
    quiet: bool,
    settings: Mapping[str, dict[str, str]] | None = None,
) -> dict[str, Any]:
    """Set the stage, tell the story, and stay up until interrupted unless `once`; returns the summary.

    settings  further settings of a server, by its name: `hub`, `ie`, `fr` …
    """
    async with AsyncExitStack() as stack:
        if data is None:
            data = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="tracker-demo-")))
        play = await stack.enter_async_context(stage(nodes, port, data.absolute(), quiet, settings or {}))
        fresh = any(site.welcome for site in play.nodes)
        if fresh:
            for name, act in STORY:
                await play.step(name, act)
        else:
            play.say("  The data of an earlier demonstration is shown as it was left.")
            recall(play, data)
        keep(play, data)
        print_addresses(play)
        if not once:
            play.say("\nAll of it is fictional. Ctrl-C stops it.")
            await until_interrupted()
        return play.summary()


# ---- the story -----------------------------------------------------------------------------------------------------


async def staff_join(play: Play) -> str:
    """The first administrator follows the link of `tracker init`; she invites the others; everybody makes keys of their own."""
    for site in play.nodes:
        # The administrator looks after people and opens no case; the two others check each other's work.
        team = {
            "Ada": ["administrator"],
            "Bruno": ["intake", "verifier", "editor"],
            "Chiara": ["verifier", "publisher"],
        }
        desk: dict[str, Colleague] = {}
        for name, roles in team.items():
            passphrase = " ".join(new_receipt().split()[:WORDS_IN_PASSPHRASE])
            colleague = Colleague(site, name, roles, passphrase)
            link = site.welcome if name == "Ada" else await desk["Ada"].invite(roles)
            await colleague.join(link)
            await colleague.sign_in()
            desk[name] = colleague
            site.staff.append({"name": name, "roles": roles, "password": passphrase})
        play.desks[site.name] = desk
    return f"{sum(len(desk) for desk in play.desks.values())} people, keys made on their own devices"


async def servers_follow(play: Play) -> str:
    """The hub admits every node; the last node follows the first."""
    for site in play.nodes:
        await play.hub.tracker("members", "add", f"@cases@127.0.0.1:{site.port}")
    if len(play.nodes) > 1:
        await play.nodes[-1].tracker("peers", "follow", play.nodes[0].actor)
        await play.far_end.following(play.nodes[-1], 1, within=SEEN_WITHIN)
    await play.far_end.following(play.hub, len(play.nodes), within=SEEN_WITHIN)
    return "asked by Follow, answered by Accept"


async def states_lead_to_doors(play: Play) -> str:
    """Before anything is published: who needs an organisation chooses a State on the hub and stands at its door."""
    for site in play.nodes:
        await play.far_end.door(play.hub, site)
        await play.far_end.nobody(play.hub, site, NOBODY_THERE)
    return f"{len(play.nodes)} doors, three links from the hub's front page"


async def desks_promise(play: Play) -> str:
    """Each organisation promises when a person answers what is urgent; its short form says so."""
    for site in play.nodes:
        await play.desks[site.name]["Ada"].promise(PROMISED_HOURS)
        await play.far_end.promised(site, PROMISED_HOURS)
    return f"within {PROMISED_HOURS} hours, said on the short form"


async def sources_send(play: Play) -> str:
    """Every sample case is sealed by its source and sent, with a file; the first is urgent and goes through the short form."""
    asked_urgently = {one.key for step in bundled(Purpose.URGENT).steps for one in step.questions}
    for number, sample in enumerate(samples.cases()):
        host = sample["node"].partition(".")[0]
        site = next((one for one in play.nodes if one.name == host), play.nodes[number % len(play.nodes)])
        told = Told(sample, site, Source(site, play.far_end.http))
        public, sealed = samples.fields(sample), sample["sealed"]
        answers = {key: value for key, value in public.items() if key in SENT}
        answers["title"] = public["title"][sample["language"]]
        answers["summary"] = public["summary"][sample["language"]]
        answers |= {key: value for key, value in sealed.items() if key not in SEALED and key != "note"}
        answers |= {"consent_publish": True, "consent_persons": "yes-oral", "risk_of_reprisal": "no"}
        is_urgent = not play.told
        if is_urgent:
            answers = {key: value for key, value in answers.items() if key in asked_urgently}
            answers["urgency"] = "high"
        identity = {key: sealed[key] for key in SEALED if key in sealed}
        note = File("note.txt", "text/plain", f"A fictional file. {sealed['canary']}\n".encode())
        told.alert = await told.source.send(
            answers,
            identity,
            [note],
            sample["language"],
            root=await play.far_end.root(site),
            urgent=is_urgent,
        )
        play.told.append(told)
    return f"{len(play.told)} alerts, sealed before they left, one of them urgent"


async def desk_asks(play: Play) -> str:
    """The desk opens an alert, asks; the source comes back with twelve words, reads, answers; the desk reads the answer."""
    told = play.told[0]
    bruno = play.desks[told.site.name]["Bruno"]
    opened = await bruno.open_alert(told.alert)
    if opened.submission is None or told.sample["sealed"]["canary"] not in json.dumps(
        opened.submission.answers
    ):
        raise Unexpected("the alert did not open as it was written")
    files = await bruno.open_attachments(told.alert, opened)
    if told.sample["sealed"]["canary"].encode() not in files[0]:
        raise Unexpected("the file did not open as it was sent")
    question, answer = "Is the situation still the same this month?", "Yes. Nothing has changed."
    await bruno.ask(told.alert, question)
    voices = [one["ed25519"] for one in await bruno.team()]
    state, mailbox = await told.source.come_back(voices)
    if state != "needs-answer" or not _said(mailbox.entries, question):
        raise Unexpected(f"the source did not find the question (state {state})")
    await told.source.answer(mailbox, answer)
    if not _said((await bruno.open_alert(told.alert)).entries, answer):
        raise Unexpected("the answer did not arrive")
    return "question and answer, sealed both ways"


async def promise_is_kept(play: Play) -> str:
    """What was urgent was answered by a person in time, and the duty report says so; of the other alerts it says nothing."""
    for site in play.nodes:
        expected = {told.alert: "kept" for told in play.told[:1] if told.site is site}
        found = await play.desks[site.name]["Bruno"].verdicts()
        if found != expected:
            raise Unexpected(f"the duty report of {site.name} says {found}")
    return "one urgent alert, answered in time"


async def desk_checks(play: Play) -> str:
    """One person records a check and proposes a standard of proof; a second one confirms."""
    refused = 0
    for told in play.told:
        bruno, chiara = play.desks[told.site.name]["Bruno"], play.desks[told.site.name]["Chiara"]
        fields = samples.fields(told.sample)
        told.case = await bruno.take(told.alert)
        await bruno.record(
            told.case,
            ObjectType.CHECK,
            {
                "claim": "The facts of the alert, as far as they are to be published.",
                "method": "Compared with documents and with a second person's account.",
                "result": "consistent",
                "evidence": [{"kind": kind, "grade": "B2"} for kind in fields.get("evidence_types", [])],
                "source_grade": "B",
                "information_grade": "2",
                "contradiction_sought": True,
            },
        )
        await bruno.move(told.case, "propose", {"standard": fields.get("standard") or "P3"})
        if told is play.told[0]:
            await bruno.move(told.case, "confirm", expected=403)
            refused += 1
        await chiara.record(
            told.case,
            ObjectType.ASSESSMENT,
            {"text": "Read the evidence again and tried to refute it; it holds."},
        )
        await chiara.move(told.case, "confirm")
    return f"{len(play.told)} cases; one person alone was refused {refused} time"


async def desk_publishes(play: Play) -> str:
    """The editor writes the public text from the allow-list; a second person approves exactly that text, once with a picture."""
    for told in play.told:
        bruno, chiara = play.desks[told.site.name]["Bruno"], play.desks[told.site.name]["Chiara"]
        fields = samples.fields(told.sample) | {"related": []}
        if told is play.told[-1]:
            drawing = await bruno.add_picture(told.case, a_closed_door(told.sample["sealed"]["canary"]))
            fields["image"] = {"sha256": drawing, "alt": {told.sample["language"]: PICTURE_SHOWS}}
        sha256 = await bruno.draft(told.case, fields)
        waiver = "The reply of the authority is part of the sample, or the case names none."
        await bruno.move(told.case, "submit", {"consent": True, "reply_waiver": waiver, "cleared": {}})
        if told is play.told[0]:
            await bruno.move(told.case, "approve", {"sha256": sha256}, expected=403)
        published = await chiara.move(told.case, "approve", {"sha256": sha256})
        told.url = published["publication"]["url"]
    return f"{len(play.told)} cases, each written by one and approved by another"


async def world_reads(play: Play) -> str:
    """The page, the signed object and its proof are at one address."""
    told = play.told[0]
    await play.far_end.page(told.url, told.sample["title"][told.sample["language"]])
    key = await play.far_end.proof(told.url)
    return f"proof by {key.rsplit('/', 1)[1]}"


async def hub_aggregates(play: Play) -> str:
    """Every case is on the hub, once, found by State and by article, and announced by the actor of its State."""
    for told in play.told:
        await play.far_end.entry(play.hub, told.url, within=SEEN_WITHIN)
    told = play.told[0]
    state, article = told.sample["state"], str(told.sample["provisions"][0]).partition(".")[0]
    await play.far_end.entry(
        play.hub, told.url, within=SEEN_WITHIN, state=state, article=article, kind=told.sample["kind"]
    )
    await play.far_end.absent(play.hub, told.url, state="IS")
    await play.far_end.announced(play.hub, f"state-{state.lower()}", told.url, within=SEEN_WITHIN)
    return f"{len(play.told)} cases verified and kept with their provenance"


async def picture_is_shown(play: Play) -> str:
    """The picture of a case stands on its page, drawn anew without what was hidden in it; the hub only links to it."""
    told = play.told[-1]
    hidden = told.sample["sealed"]["canary"].encode()
    told.picture = await play.far_end.picture(told.url, PICTURE_SHOWS, without=hidden)
    await play.far_end.picture_linked(play.hub, told.url, told.picture)
    return f"shown by {told.site.name} without its hidden note, a link at the hub"


async def node_follows_node(play: Play) -> str:
    """One node reads the other's cases the same way."""
    if len(play.nodes) < 2:
        return "only one node on stage"
    first = [told for told in play.told if told.site is play.nodes[0]]
    for told in first:
        await play.far_end.entry(play.nodes[-1], told.url, within=SEEN_WITHIN)
    return f"{len(first)} cases of {play.nodes[0].name} at {play.nodes[-1].name}"


async def node_speaks(play: Play) -> str:
    """One organisation stands beside another's case; two people of it say so, and the case's own page shows it."""
    if len(play.nodes) < 2:
        return "only one node on stage"
    told, site = play.told[0], play.nodes[-1]
    bruno, chiara = play.desks[site.name]["Bruno"], play.desks[site.name]["Chiara"]
    words = "We have seen the same in our country. (fictional)"
    said = await bruno.write_position(told.url, "endorsement", words)
    await bruno.publish_position(said, expected=403)
    await chiara.publish_position(said)
    url = f"{site.origin}/positions/{said}"
    await play.far_end.proof(url)
    await play.desks[told.site.name]["Chiara"].show_reply(url, within=SEEN_WITHIN)
    await play.far_end.page(told.url, words)
    return f"signed by {site.name}, shown by {told.site.name}"


async def desk_corrects(play: Play) -> str:
    """A correction, approved by two, reaches the hub as an Update."""
    told = play.told[1]
    bruno, chiara = play.desks[told.site.name]["Bruno"], play.desks[told.site.name]["Chiara"]
    await asyncio.sleep(1.1)  # versions are told apart by whole seconds
    language = told.sample["language"]
    fields = samples.fields(told.sample) | {"related": []}
    title = f"{fields['title'][language]} ·"
    fields["title"] = fields["title"] | {language: title}
    moved = await bruno.move(
        told.case,
        "correct",
        {
            "fields": fields,
            "note": "The title was made more exact.",
            "consent": True,
            "reply_waiver": "As before.",
        },
    )
    await chiara.move(told.case, "approve", {"sha256": moved["draft"]["sha256"]})
    await play.far_end.corrected(play.hub, told.url, title, within=SEEN_WITHIN)
    return "Update seen at the hub"


async def desk_withdraws(play: Play) -> str:
    """A withdrawal, approved by two, leaves a dated tombstone everywhere and takes the picture along."""
    told = play.told[-1]
    bruno, chiara = play.desks[told.site.name]["Bruno"], play.desks[told.site.name]["Chiara"]
    await bruno.move(told.case, "withdraw", {"reason": "factual-error"})
    await chiara.move(told.case, "approve", {})
    await play.far_end.tombstone(told.url)
    await play.far_end.picture_gone(told.picture)
    await play.far_end.absent(play.hub, told.url, within=SEEN_WITHIN)
    return "Delete seen at the hub; a tombstone stays, the picture is gone"


async def queues_are_empty(play: Play) -> str:
    """Every delivery arrived: nothing waits, nothing was given up."""
    for site in [play.hub, *play.nodes]:
        found = await site.tracker("doctor") if site.role == "node" else None
        if found and not next(check["ok"] for check in found["checks"] if check["name"] == "queue"):
            raise Unexpected(f"{site.name} still has deliveries waiting")
    return "nothing waits, nothing was given up"


STORY: list[tuple[str, Callable[[Play], Awaitable[str]]]] = [
    ("people join their desks", staff_join),
    ("the hub and a node follow the nodes", servers_follow),
    ("a State leads to an organisation's door", states_lead_to_doors),
    ("an answer to what is urgent is promised", desks_promise),
    ("sources seal and send", sources_send),
    ("the desk asks, the source answers", desk_asks),
    ("the promise was kept", promise_is_kept),
    ("one checks, a second confirms", desk_checks),
    ("one writes, a second approves, it is public", desk_publishes),
    ("page, object and proof at one address", world_reads),
    ("the hub verifies, keeps, filters, announces", hub_aggregates),
    ("a case shows its picture", picture_is_shown),
    ("a node follows a node", node_follows_node),
    ("another organisation stands beside a case", node_speaks),
    ("a correction arrives", desk_corrects),
    ("a withdrawal leaves a tombstone, no picture", desk_withdraws),
    ("every delivery arrived", queues_are_empty),
]


def _said(entries: Any, text: str) -> bool:
    # Any: entries of either kind; a refused one has no content.
    return any(getattr(getattr(entry, "content", None), "text", None) == text for entry in entries)

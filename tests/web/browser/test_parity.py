"""What the browser seals opens in Python and the other way round: two implementations, one format."""

import base64
import json
import secrets
from typing import Any

import pytest

from node.sealing.age import open_sealed, seal
from node.sealing.alerts import (
    compose_alert,
    compose_message,
    open_alert,
    open_attachment,
    open_mailbox,
)
from node.sealing.attachments import File
from node.sealing.dialogue import Entry, Message
from node.sealing.manifest import sign_manifest
from node.sealing.objects import ObjectType, OpenedObject
from node.sealing.receipts import new_receipt, source_keys
from node.sealing.recipients import generate_identity, recipient_of
from node.sealing.records import begin_case, compose_record, open_case
from node.sealing.vault import HandlerKeys, derive_login, enrol, open_vault, recovery_auth, recovery_identity
from tests.node.sealing.people import (
    DAY,
    NODE,
    NOW,
    a_manifest,
    a_person,
    a_root,
    as_record,
    handler,
    terms,
)
from tests.rig.nodejs import ROOT as PROJECT
from tests.web.browser.scripts import run
from vocab.canonical import canonical

EDGES = (0, 1, 65535, 65536, 65537, 131071, 131072, 131073, 196608)
ANA, BEN = a_person(), a_person()
ROOT = a_root()
PEOPLE = [handler("ana", ANA), handler("ben", BEN)]
MANIFEST_BYTES = sign_manifest(terms(PEOPLE, ROOT), ROOT.signer)
MANIFEST = a_manifest(PEOPLE, ROOT)
STAFF = {ANA.signing.id, BEN.signing.id}

PRELUDE = """
    const { verifyManifest } = await import("./src/manifest.ts");
    const { signingKey } = await import("./src/signing.ts");
    const handlerKeys = (one) => ({ identity: one.identity, recipient: one.recipient, signing: signingKey(bytes(one.seed)) });
    const manifest = given.manifest && verifyManifest(bytes(given.manifest), { node: given.node, root: given.root, now: new Date(given.now) });
"""


def text(data: bytes) -> str:
    return base64.b64encode(data).decode()


def given(**more: Any) -> dict[str, Any]:
    return {
        "manifest": text(MANIFEST_BYTES),
        "node": NODE,
        "root": ROOT.id,
        "now": NOW.isoformat(),
        "day": DAY.isoformat(),
        "staff": [{"id": one.id, "age": one.age, "ed25519": one.ed25519} for one in PEOPLE],
    } | more


def spelled(keys: HandlerKeys) -> dict[str, str]:
    return {"identity": str(keys.identity), "recipient": keys.recipient, "seed": text(keys.signing.seed)}


def test_files_of_every_size_at_the_edges_cross_both_ways() -> None:
    identity = generate_identity()
    recipient = recipient_of(identity)
    plain = [secrets.token_bytes(size) for size in EDGES]

    answer = run(
        """
        const { keyOf, open, seal, sealStream } = await import("./src/age.ts");
        const { createHash } = await import("node:crypto");
        const { recipient } = await keyOf(given.identity);
        const plain = given.plain.map(bytes);
        return {
            recipient,
            opened: await Promise.all(given.sealed.map(async (one) => text(await open(bytes(one), given.identity)))),
            sealed: await Promise.all(plain.map(async (one) => text(await seal(one, recipient)))),
            streamed: await Promise.all(plain.map(async (one) =>
                text(await new Response(await sealStream(new Blob([one]).stream(), recipient)).bytes()))),
        };
        """,
        {
            "identity": str(identity),
            "plain": [text(one) for one in plain],
            "sealed": [text(seal(one, recipient)) for one in plain],
        },
    )

    assert answer["recipient"] == recipient
    assert [base64.b64decode(one) for one in answer["opened"]] == plain
    for kind in ("sealed", "streamed"):
        assert [open_sealed(base64.b64decode(one), identity) for one in answer[kind]] == plain


def test_canonical_json_is_the_same_to_the_byte() -> None:
    values: list[object] = [
        {"b": 1, "a": [True, None, 'é\u2028\x00\x1f"\\/'], "€": "\U0001f600", "\U0001f600": 1, "\ufb33": 2},
        [0, -1, 2**53 - 1, 1.5, 1e21, 1e-7, 0.1, 123456789012345680000.0, 5e-324],
        {},
        "",
        [],
    ]
    folder = PROJECT.parent / "shared" / "vectors" / "jcs" / "input"
    if folder.is_dir():
        values += [json.loads(path.read_text("utf-8")) for path in sorted(folder.glob("*.json"))]

    answer = run(
        """
        const { canonical } = await import("./src/canonical.ts");
        return given.map((value) => text(canonical(value)));
        """,
        values,
    )

    assert [base64.b64decode(one) for one in answer] == [canonical(value) for value in values]


@pytest.mark.parametrize("value", ['"\\ud800"', "[1e999]"])
def test_what_has_no_canonical_form_has_none_in_the_browser_either(value: str) -> None:
    answer = run(
        """
        const { canonical } = await import("./src/canonical.ts");
        try { return text(canonical(JSON.parse(given))); } catch (error) { return error.reason; }
        """,
        value,
    )

    assert answer == "malformed"


def test_an_alert_from_the_browser_opens_in_python_and_is_answered() -> None:
    receipt, film = str(new_receipt()), secrets.token_bytes(5_000_000)

    sent = run(
        PRELUDE
        + """
        const { sealAlert, sendAlert } = await import("./src/seal.ts");
        const parts = {};
        let body;
        const door = async (address, init) => {
            if (init.method === "PUT") { parts[address.split("/uploads/")[1]] = text(init.body); return new Response(null, { status: 204 }); }
            body = init.body;
            return Response.json({ received_on: given.day, state: "received" }, { status: 201 });
        };
        const draft = {
            form: "0".repeat(64), language: "fr", answers: { title: "Fictif: un logement inondé" }, identityFields: { name: "Fictional Person" },
            files: [new File([bytes(given.film)], "film.mp4", { type: "video/mp4" }), new File([], "vide.txt")],
        };
        await sendAlert(await sealAlert(draft, { manifest, receipt: given.receipt, day: given.day }), { fetch: door });
        return { body, parts };
        """,
        given(receipt=receipt, film=text(film)),
    )
    body: dict[str, Any] = json.loads(sent["body"])
    source = source_keys(receipt, NODE)
    record = body | {"wraps": [wrap for wrap in body["wraps"] if wrap["holder"] == "ben"]}
    own = body | {"wraps": [wrap for wrap in body["wraps"] if wrap["holder"] == "source"]}

    opened = open_alert(record, BEN, node=NODE, staff=STAFF)
    mailbox = open_mailbox(own, source, desk=STAFF)

    assert body["mailbox"] == source.mailbox
    assert opened.submission is not None
    assert opened.submission.answers == {"title": "Fictif: un logement inondé"}
    assert opened.identity_fields == {"name": "Fictional Person"}
    assert mailbox.entries == opened.entries
    contents = []
    for attachment, wire in zip(opened.submission.attachments, body["attachments"], strict=True):
        parts = [base64.b64decode(sent["parts"][f"{attachment.upload}/{at}"]) for at in range(wire["parts"])]
        assert sum(map(len, parts)) == wire["size"]
        contents.append(open_attachment(opened, attachment, b"".join(parts)))
    assert contents == [film, b""]


def test_an_alert_from_python_opens_in_the_browser_on_both_sides() -> None:
    receipt = new_receipt()
    photo = File("photo.jpg", "image/jpeg", secrets.token_bytes(70_001))
    composed = compose_alert(
        MANIFEST, NODE, {"title": "Fictional"}, {"name": "Nobody"}, [photo], receipt, DAY
    )
    opened = open_alert(as_record(composed, "ana"), ANA, node=NODE, staff=STAFF)
    question = compose_message(opened, "¿Desde cuándo?", by=ANA.signing, day=DAY)

    answer = run(
        PRELUDE
        + """
        const { openAlert, composeMessage } = await import("./src/open.ts");
        const { openAttachment } = await import("./src/attachments.ts");
        const { openMailbox, sendMessage } = await import("./src/mailbox.ts");
        const me = handlerKeys(given.ana);
        const alert = await openAlert(given.desk, me, { node: given.node, staff: given.staff });
        const [photo] = alert.submission.attachments;
        const file = await openAttachment(alert.held.dialogue, photo, new Blob([bytes(given.file)]));
        const mailboxRecord = { mode: "sealed", consents: [], ...given.mailbox };
        const door = { fetch: async (address, init) => {
            if (init.method === "POST") { mailboxRecord.objects.push({ compartment: "dialogue", posted_on: given.day, ...JSON.parse(init.body) }); return new Response(null, { status: 201 }); }
            return Response.json(mailboxRecord);
        } };
        const mailbox = await openMailbox(given.receipt, manifest, door);
        await sendMessage(mailbox, "Desde marzo.", { manifest, day: given.day }, door);
        return {
            answers: alert.submission.answers, identity: alert.identity, file: text(await file.bytes()), type: file.type,
            seen: mailbox.entries.map((one) => one.verified), objects: mailboxRecord.objects,
        };
        """,
        given(
            receipt=str(receipt),
            ana=spelled(ANA),
            file=text(b"".join(part.data for part in composed.parts)),
            desk=as_record(composed, "ana"),
            mailbox=as_record(composed, "source", [question | {"posted_on": DAY.isoformat()}]),
        ),
    )

    assert answer["answers"] == {"title": "Fictional"}
    assert answer["identity"] == {"fields": {"name": "Nobody"}}
    assert base64.b64decode(answer["file"]) == photo.content
    assert answer["type"] == "image/jpeg"
    assert answer["seen"] == [True, True]
    later = open_alert(
        as_record(composed, "ben") | {"objects": answer["objects"]}, BEN, node=NODE, staff=STAFF
    )
    messages = [one.content for one in later.entries if isinstance(one, Entry)][1:]
    assert messages == [Message("¿Desde cuándo?"), Message("Desde marzo.")]


def test_a_cases_records_cross_both_ways() -> None:
    begun: dict[str, Any] = begin_case(ANA, {"ana": ANA.recipient, "ben": BEN.recipient}, node=NODE)
    record = {name: begun[name] for name in ("id", "internal")} | {
        "alert": "a" * 32,
        "wraps": [wrap for wrap in begun["wraps"] if wrap["holder"] == "ben"],
        "records": [],
    }
    opened = open_case(record, BEN, node=NODE, staff=STAFF)
    note = compose_record(opened, ObjectType.NOTE, {"text": "from Python"}, by=BEN.signing, day=DAY)
    record["records"] = [note | {"posted_on": DAY.isoformat()}]

    answer = run(
        PRELUDE
        + """
        const { beginCase, composeRecord, openCase } = await import("./src/open.ts");
        const me = handlerKeys(given.ben);
        const at = { node: given.node, staff: given.staff };
        const opened = await openCase(given.record, me, at);
        const added = await composeRecord(opened, me, "check", { text: "from the browser" }, given.day);
        return { entries: opened.entries, added, begun: await beginCase(me, { node: given.node, holders: given.staff }) };
        """,
        given(ben=spelled(BEN), record=record),
    )

    assert [(one["verified"], one["body"]) for one in answer["entries"]] == [(True, {"text": "from Python"})]
    record["records"] = [*record["records"], answer["added"] | {"type": "check"}]
    last = open_case(record, BEN, node=NODE, staff=STAFF).links[1].outcome
    assert isinstance(last, OpenedObject)
    assert last.body == {"text": "from the browser"}
    mine = answer["begun"] | {"wraps": [one for one in answer["begun"]["wraps"] if one["holder"] == "ana"]}
    assert open_case(mine, ANA, node=NODE, staff=STAFF).at.seq == 1


def test_a_vault_made_on_either_side_opens_on_the_other() -> None:
    passphrase = "six fictional words — ﬁve and one"
    new = enrol(passphrase)

    answer = run(
        """
        const { deriveLogin, enrol, inlineKdf, openVault, recoveryIdentity } = await import("./src/vault.ts");
        const login = await deriveLogin(given.passphrase, given.salt, inlineKdf);
        const keys = await openVault(given.vault, login.vaultIdentity);
        const recovered = await openVault(given.recovery, await recoveryIdentity(given.code));
        const made = await enrol(given.passphrase, inlineKdf);
        return { auth: login.auth, identity: keys.identity, signing: recovered.signing.id, made };
        """,
        {
            "passphrase": passphrase,
            "salt": text(new.salt),
            "vault": text(new.vault),
            "recovery": text(new.recovery_vault),
            "code": str(new.recovery_code),
        },
    )

    assert base64.b64decode(answer["auth"]) == new.auth
    assert answer["identity"] == new.keys.identity
    assert answer["signing"] == new.keys.signing.id
    made = answer["made"]["enrolment"]
    login = derive_login(passphrase, base64.b64decode(made["salt"]))
    assert text(login.auth) == made["auth"]
    keys = open_vault(base64.b64decode(made["vault"]), login.vault_identity)
    assert (keys.recipient, keys.signing.id) == (made["age"], made["ed25519"])
    code = answer["made"]["recoveryCode"]
    assert open_vault(base64.b64decode(made["recovery_vault"]), recovery_identity(code)) == keys
    assert text(recovery_auth(code)) == made["recovery_auth"]

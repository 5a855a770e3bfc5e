/** A source's way back: the receipt opens the mailbox, reads what the desk answered, and answers in turn. */

import { heldConsents } from "./consents.ts";
import { fromBase64, toBase64 } from "./encoding.ts";
import { get } from "./network.ts";
import { formerHandlers } from "./manifest.ts";
import { composeObject } from "./objects.ts";
import { messageOf, readDialogue } from "./dialogue.ts";
import { sourceKeys } from "./receipts.ts";
import { Refused } from "./refusal.ts";
import type { Upload } from "./upload.ts";
import { postWorked } from "./work.ts";
import { openWrap } from "./wraps.ts";
import type { Attachment, Day, Door, EpochKey, KeyId, Mailbox, MailboxRecord, Manifest, SourceKeys, Stint } from "./types.ts";

const TRIES = 3;

/**
 * Fetches and opens the mailbox a receipt belongs to.
 *
 * A reply signed by nobody in the manifest is an entry that is not verified: the server could have written it.
 */
export async function openMailbox(receipt: string, manifest: Manifest, door: Door = {}): Promise<Mailbox> {
  const keys = await sourceKeys(receipt, manifest.node);
  return read(await fetchRecord(keys, door), keys, manifest, door);
}

/**
 * Seals and sends a message, after what has come in meanwhile where something has; returns the mailbox as it is then.
 *
 * uploads  the files of the message, all of them sent before.
 */
export async function sendMessage(
  mailbox: Mailbox,
  text: string,
  to: { readonly manifest: Manifest; readonly day: Day; readonly uploads?: readonly Upload[] },
  door: Door = {},
): Promise<Mailbox> {
  const { keys } = mailbox;
  const { body, files } = messageOf(text, to.uploads ?? []);
  let { next, dialogue } = mailbox;
  for (let attempt = 0; attempt < TRIES; attempt += 1) {
    const sealed = toBase64(
      await composeObject("message", body, {
        place: placeOf(mailbox.id, keys), recipient: dialogue.recipient, epoch: dialogue.epoch, next, day: to.day, by: keys.signing,
      }),
    );
    try {
      const work = { node: keys.node, id: mailbox.id };
      const message = JSON.stringify({ seq: next.seq, sealed, ...files });
      await postWorked(work, "/api/v1/mailbox/messages", message, door, credentials(keys));
    } catch (error) {
      if (!(error instanceof Refused) || error.reason !== "conflict") throw error;
    }
    const record = await fetchRecord(keys, door);
    const updated = await read(record, keys, to.manifest, door);
    // Looking for our own bytes also recognises a message that arrived although its answer was lost.
    if (record.objects.some((object) => object.sealed === sealed)) return updated;
    ({ next, dialogue } = updated);
  }
  throw new Refused("conflict");
}

/** The ciphertext of one file, part by part: where the connection breaks, only the present part is asked for again. */
export async function fetchAttachment({ keys, attachments }: Mailbox, attachment: Attachment, door: Door = {}): Promise<Blob> {
  const wire = attachments.find((one) => one.upload === attachment.upload);
  if (wire === undefined) throw new Refused("not-found", "attachment");
  const parts: Blob[] = [];
  for (let part = 0; part < wire.parts; part += 1) {
    const response = await get(keys.node, `/api/v1/mailbox/attachments/${wire.upload}/${part}`, door, credentials(keys));
    parts.push(await response.blob());
  }
  return new Blob(parts);
}

/** Where something is signed by nobody of the present list, the lists before it are asked who was there at the time. */
async function read(record: MailboxRecord, keys: SourceKeys, manifest: Manifest, door: Door): Promise<Mailbox> {
  let present: Mailbox | Refused;
  try {
    present = await readWith([], record, keys, manifest);
  } catch (error) {
    if (!(error instanceof Refused) || error.reason !== "wrong-signature") throw error;
    present = error;
  }
  const isDone = !(present instanceof Refused) && present.entries.every((one) => one.verified || one.reason !== "wrong-signature");
  if (isDone) return present as Mailbox;
  try {
    return await readWith(await formerHandlers(manifest, record.received_on, door), record, keys, manifest);
  } catch (error) {
    if (!(error instanceof Refused) || present instanceof Refused) throw error;
    // Without the older lists, or with lists that do not hold, what was read stays as it is: refused.
    return present;
  }
}

async function readWith(former: readonly Stint[], record: MailboxRecord, keys: SourceKeys, manifest: Manifest): Promise<Mailbox> {
  const place = placeOf(record.id, keys);
  const desk = manifest.handlers.map((handler) => handler.ed25519);
  const held: (EpochKey & { readonly grantedBy: KeyId })[] = [];
  for (const wrap of record.wraps.filter((one) => one.compartment === "dialogue")) {
    const epoch = wrap.epoch ?? 1;
    // The source granted the first wrap to itself when it wrote: its signature also ties the mailbox to the alert's id.
    // Later keys are made at the desk when somebody leaves it, by people the organisation names in its list.
    const mayGrant = epoch === 1 ? [keys.signing.id] : [...desk, ...former.map((one) => one.ed25519)];
    held.push(await openWrap(fromBase64(wrap.sealed), keys.identity, { place, mayGrant, epoch }));
  }
  held.sort((left, right) => left.epoch - right.epoch);
  if (held[0]?.epoch !== 1) throw new Refused("malformed", "mailbox");
  const voices = { source: keys.signing.id, desk, former };
  const { entries, next, epoch: current } = await readDialogue(record.objects, held, place, voices);
  // A key from somebody who left is read with, and sealed to only where the exchange has gone on under it.
  const dialogue = held.findLast((one) => one.epoch === 1 || one.epoch === current || desk.includes(one.grantedBy)) as EpochKey;
  const { id, state, mode, attachments } = record;
  const consents = heldConsents(record.consents, { node: keys.node, case: id, source: keys.signing.id });
  return { id, state, mode, consents, receivedOn: record.received_on, entries, keys, dialogue, held, attachments, next };
}

async function fetchRecord(keys: SourceKeys, door: Door): Promise<MailboxRecord> {
  const response = await get(keys.node, "/api/v1/mailbox", door, credentials(keys));
  return (await response.json()) as MailboxRecord;
}

function placeOf(id: string, keys: SourceKeys): { node: string; case: string; compartment: "dialogue" } {
  return { node: keys.node, case: id, compartment: "dialogue" };
}

/** What shows the server whose mailbox is asked for. */
export function credentials(keys: SourceKeys): Record<string, string> {
  return { authorization: `Mailbox ${keys.mailboxToken}` };
}

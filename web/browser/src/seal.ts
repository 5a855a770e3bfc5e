/**
 * Seals an alert and sends it: files flow through the cipher in parts of 4 MiB, then one request hands over the rest.
 *
 * Nothing leaves before sendAlert, and only ciphertext ever does. A broken connection loses nothing: call sendAlert
 * again with the same alert and it goes on where it stopped, as long as the page stays open.
 */

import { generateKey, seal } from "./age.ts";
import { randomBytes, toBase64, toHex } from "./encoding.ts";
import { holdersOf } from "./manifest.ts";
import { FIRST, composeObject } from "./objects.ts";
import { paddedSize } from "./padding.ts";
import { sourceKeys } from "./receipts.ts";
import { Refused } from "./refusal.ts";
import { Upload, sendUploads } from "./upload.ts";
import { postWorked } from "./work.ts";
import { composeWrap } from "./wraps.ts";
import type {
  AlertDraft, CompartmentKey, Day, Door, Hex, JsonObject, Manifest, Received, Recipient, SourceKeys,
} from "./types.ts";

/** An alert on its way: its keys, its draft, and how far it has come. Made by sealAlert. */
export interface SealedAlert {
  readonly id: Hex;
  readonly day: Day;
  readonly draft: AlertDraft;
  readonly source: SourceKeys;
  readonly keys: { readonly dialogue: CompartmentKey; readonly identity: CompartmentKey };
  readonly uploads: readonly Upload[];
  manifest: Manifest;
  /** The last request, once composed: repeated byte for byte, so that the server knows it again. */
  body: string | null;
}

export async function sealAlert(
  draft: AlertDraft,
  to: { readonly manifest: Manifest; readonly receipt: string; readonly day: Day },
): Promise<SealedAlert> {
  const keys = { dialogue: await generateKey(), identity: await generateKey() };
  return {
    id: toHex(randomBytes(16)),
    day: to.day,
    draft,
    source: await sourceKeys(to.receipt, to.manifest.node),
    keys,
    uploads: draft.files.map((file) => new Upload(file, keys.dialogue.recipient)),
    manifest: to.manifest,
    body: null,
  };
}

/** Hands the alert to another manifest's handlers, after the server refused the first with `manifest-changed`. */
export function readdress(alert: SealedAlert, manifest: Manifest): void {
  if (manifest.node !== alert.manifest.node) throw new Refused("manifest-other-node");
  alert.manifest = manifest;
  alert.body = null;
}

export async function sendAlert(alert: SealedAlert, door: Door = {}): Promise<Received> {
  await sendUploads(alert.uploads, alert.manifest.node, door);
  alert.body ??= JSON.stringify(await compose(alert));
  const work = { node: alert.manifest.node, id: alert.id };
  const response = await postWorked(work, door.path ?? "/api/v1/alerts", alert.body, door);
  return (await response.json()) as Received;
}

/** What POST /api/v1/alerts takes: keys wrapped for each holder, and the two objects every alert has. */
async function compose(alert: SealedAlert): Promise<object> {
  const { draft, keys, manifest, source } = alert;
  const place = { node: manifest.node, case: alert.id };
  const wraps: object[] = [];
  const objects: object[] = [];
  for (const compartment of ["dialogue", "identity"] as const) {
    const grant = { place: { ...place, compartment }, manifest: manifest.sha256, by: source.signing };
    const holders: [string, Recipient][] = holdersOf(manifest, compartment).map(({ id, age }) => [id, age]);
    holders.push(["source", source.recipient]);
    if (manifest.recovery !== null) holders.push(["recovery", manifest.recovery]);
    for (const [holder, recipient] of holders) {
      wraps.push({ compartment, holder, sealed: toBase64(await composeWrap(keys[compartment], recipient, grant)) });
    }
    const [type, body]: ["submission" | "identity", JsonObject] =
      compartment === "dialogue"
        ? ["submission", { form: draft.form, language: draft.language, answers: draft.answers, attachments: alert.uploads.map((one) => ({ ...one.attachment })) }]
        : ["identity", { fields: draft.identityFields }];
    const sealed = await composeObject(type, body, {
      place: { ...place, compartment }, recipient: keys[compartment].recipient, next: FIRST, day: alert.day, by: source.signing,
    });
    objects.push({ compartment, seq: FIRST.seq, sealed: toBase64(sealed) });
  }
  return {
    v: 1,
    id: alert.id,
    manifest: manifest.sha256,
    mailbox: source.mailbox,
    source: { age: source.recipient, ed25519: source.signing.id },
    compartments: { dialogue: keys.dialogue.recipient, identity: keys.identity.recipient },
    wraps,
    objects,
    attachments: alert.uploads.map((upload) => upload.wire),
    ...(draft.urgent === true ? { urgent: true } : {}),
  };
}

/** Seals one file to a compartment in memory, as sendAlert does in parts; for small clean copies and for tests. */
export async function sealFile(file: Uint8Array, recipient: Recipient): Promise<Uint8Array> {
  const padded = new Uint8Array(paddedSize(file.length));
  padded.set(file);
  return seal(padded, recipient);
}

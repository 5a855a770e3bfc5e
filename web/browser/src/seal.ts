/**
 * Seals an alert and sends it: files flow through the cipher in parts of 4 MiB, then one request hands over the rest.
 *
 * Nothing leaves before sendAlert, and only ciphertext ever does. A broken connection loses nothing: call sendAlert
 * again with the same alert and it goes on where it stopped, as long as the page stays open.
 */

import { sha256 } from "@noble/hashes/sha2.js";
import { generateKey, seal, sealStream, sealedSize } from "./age.ts";
import { randomBytes, toBase64, toHex, utcDay } from "./encoding.ts";
import { holdersOf } from "./manifest.ts";
import { postJson, putBytes } from "./network.ts";
import { FIRST, composeObject } from "./objects.ts";
import { padFile, paddedSize } from "./padding.ts";
import { sourceKeys } from "./receipts.ts";
import { Refused } from "./refusal.ts";
import { findWork } from "./work.ts";
import { composeWrap } from "./wraps.ts";
import type {
  AlertDraft, Attachment, CompartmentKey, Day, Door, Hex, JsonObject, Manifest, Received, Recipient, SourceKeys, WireAttachment,
} from "./types.ts";

export const PART_BYTES = 4 * 1024 * 1024;
const WORK_TRIES = 3;

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
  const total = alert.uploads.reduce((sum, upload) => sum + upload.total, 0);
  const tell = (file: number | null): void =>
    door.onProgress?.({ sent: alert.uploads.reduce((sum, upload) => sum + upload.sent, 0), total, file });

  for (const [file, upload] of alert.uploads.entries()) {
    tell(file);
    while (await upload.sendPart(alert.manifest.node, door)) tell(file);
  }
  tell(null);
  alert.body ??= JSON.stringify(await compose(alert));
  const response = await handIn(alert, alert.body, door);
  return (await response.json()) as Received;
}

/** Hands the alert in, and does the work that is asked for where so much arrives that sending costs some. */
async function handIn(alert: SealedAlert, body: string, door: Door): Promise<Response> {
  const { node } = alert.manifest;
  let headers: Record<string, string> = {};
  for (let attempt = 0; ; attempt += 1) {
    try {
      return await postJson(node, door.path ?? "/api/v1/alerts", body, door, headers);
    } catch (error) {
      // The price may rise while it is being paid; not for ever.
      if (!(error instanceof Refused) || error.reason !== "work" || attempt >= WORK_TRIES) throw error;
      headers = { work: await findWork({ node, id: alert.id, day: utcDay(new Date()) }, Number(error.detail)) };
    }
  }
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
  };
}

/** One file on its way: read, hashed, padded, sealed, cut into parts, each kept until the server has it. */
class Upload {
  readonly id: Hex = toHex(randomBytes(16));
  readonly total: number;
  sent = 0;
  readonly #file: File;
  readonly #recipient: Recipient;
  readonly #plain = sha256.create();
  readonly #cipher = sha256.create();
  #reader: ReadableStreamDefaultReader<Uint8Array> | null = null;
  #rest: Uint8Array = new Uint8Array(0);
  #pending: Uint8Array | null = null;
  #parts = 0;
  #isRead = false;
  #hashes: { readonly plain: Hex; readonly cipher: Hex } | null = null;

  constructor(file: File, recipient: Recipient) {
    this.#file = file;
    this.#recipient = recipient;
    this.total = sealedSize(paddedSize(file.size));
  }

  /** Sends the next part; false when there is none left. Safe to call again after it failed. */
  async sendPart(node: string, door: Door): Promise<boolean> {
    this.#pending ??= await this.#nextPart();
    if (this.#pending === null) return false;
    await putBytes(node, `/api/v1/uploads/${this.id}/${this.#parts}`, this.#pending, door);
    this.sent += this.#pending.length;
    this.#parts += 1;
    this.#pending = null;
    return true;
  }

  get attachment(): Attachment {
    const { name, size, type } = this.#file;
    return { upload: this.id, name, media_type: type || "application/octet-stream", size, sha256: this.#done.plain };
  }

  get wire(): WireAttachment {
    return { upload: this.id, parts: this.#parts, size: this.sent, sha256: this.#done.cipher };
  }

  get #done(): { readonly plain: Hex; readonly cipher: Hex } {
    if (!this.#isRead || this.#pending !== null) throw new Error("the file has not been sent");
    this.#hashes ??= { plain: toHex(this.#plain.digest()), cipher: toHex(this.#cipher.digest()) };
    return this.#hashes;
  }

  async #nextPart(): Promise<Uint8Array | null> {
    if (this.#isRead) return null;
    const part = new Uint8Array(PART_BYTES);
    let filled = 0;
    try {
      this.#reader ??= await this.#open();
      while (filled < PART_BYTES) {
        if (this.#rest.length === 0) {
          const { done, value } = await this.#reader.read();
          if (done) break;
          this.#rest = value;
        }
        const taken = this.#rest.subarray(0, PART_BYTES - filled);
        part.set(taken, filled);
        filled += taken.length;
        this.#rest = this.#rest.subarray(taken.length);
      }
    } catch {
      throw new Refused("file-unreadable", this.#file.name);
    }
    this.#isRead = filled < PART_BYTES;
    this.#cipher.update(part.subarray(0, filled));
    return filled === 0 ? null : part.subarray(0, filled);
  }

  async #open(): Promise<ReadableStreamDefaultReader<Uint8Array>> {
    const hash = new TransformStream<Uint8Array, Uint8Array>({
      transform: (chunk, controller) => {
        this.#plain.update(chunk);
        controller.enqueue(chunk);
      },
    });
    const plaintext = this.#file.stream().pipeThrough(hash).pipeThrough(padFile(this.#file.size));
    return (await sealStream(plaintext, this.#recipient)).getReader();
  }
}

/** Seals one file to a compartment in memory, as sendAlert does in parts; for small clean copies and for tests. */
export async function sealFile(file: Uint8Array, recipient: Recipient): Promise<Uint8Array> {
  const padded = new Uint8Array(paddedSize(file.length));
  padded.set(file);
  return seal(padded, recipient);
}

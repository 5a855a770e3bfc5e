/**
 * Files on their way: read as they flow, hashed, padded, sealed to one compartment, sent in parts of 4 MiB.
 *
 * A broken connection loses nothing: asked again, an upload goes on with the part that did not arrive, as long as the page is open.
 */

import { sha256 } from "@noble/hashes/sha2.js";
import { sealStream, sealedSize } from "./age.ts";
import { randomBytes, toHex } from "./encoding.ts";
import { putBytes } from "./network.ts";
import { padFile, paddedSize } from "./padding.ts";
import { Refused } from "./refusal.ts";
import type { Attachment, Door, Hex, Recipient, WireAttachment } from "./types.ts";

export const PART_BYTES = 4 * 1024 * 1024;

/** Sends what has not arrived of each, and tells how far it is. */
export async function sendUploads(uploads: readonly Upload[], node: string, door: Door): Promise<void> {
  const total = uploads.reduce((sum, upload) => sum + upload.total, 0);
  const tell = (file: number | null): void =>
    door.onProgress?.({ sent: uploads.reduce((sum, upload) => sum + upload.sent, 0), total, file });
  for (const [file, upload] of uploads.entries()) {
    tell(file);
    while (await upload.sendPart(node, door)) tell(file);
  }
  tell(null);
}

/** One file on its way: read, hashed, padded, sealed, cut into parts, each kept until the server has it. */
export class Upload {
  readonly id: Hex = toHex(randomBytes(16));
  readonly total: number;
  sent = 0;
  readonly #file: File;
  readonly #recipient: Recipient;
  readonly #plain = sha256.create();
  readonly #cipher = sha256.create();
  #reader: ReadableStreamDefaultReader<Uint8Array> | null = null;
  #rest: Uint8Array = new Uint8Array(0);
  #part: Uint8Array | null = null;
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
    // One buffer for all parts: the server has the one before by now, and what is thrown away piles up faster than it is swept.
    const part = (this.#part ??= new Uint8Array(PART_BYTES));
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

/** Opening a file of the dialogue: handed on only when it is whole, and the one that its message names. */

import { sha256 } from "@noble/hashes/sha2.js";
import { openStream } from "./age.ts";
import { toHex } from "./encoding.ts";
import { paddedSize } from "./padding.ts";
import { Refused } from "./refusal.ts";
import type { Attachment, CompartmentKey } from "./types.ts";

/** keys  every key of the dialogue that is held: a file stays under the one it was sealed to. */
export async function openAttachment(keys: readonly CompartmentKey[], attachment: Attachment, sealed: Blob): Promise<Blob> {
  for (const key of keys) {
    try {
      return await openFile(key, attachment, sealed);
    } catch (error) {
      if (!(error instanceof Refused) || error.reason !== "cannot-open") throw error;
    }
  }
  throw new Refused("cannot-open");
}

async function openFile(key: CompartmentKey, attachment: Attachment, sealed: Blob): Promise<Blob> {
  const hash = sha256.create();
  const chunks: Uint8Array[] = [];
  let [left, seen] = [attachment.size, 0];
  try {
    const reader = (await openStream(sealed.stream(), key.identity)).getReader();
    for (let next = await reader.read(); !next.done; next = await reader.read()) {
      seen += next.value.length;
      const chunk = next.value.subarray(0, left);
      left -= chunk.length;
      hash.update(chunk);
      chunks.push(chunk);
    }
  } catch (error) {
    throw error instanceof Refused ? error : new Refused("cannot-open");
  }
  if (seen !== paddedSize(attachment.size) || toHex(hash.digest()) !== attachment.sha256) throw new Refused("malformed", "attachment");
  return new Blob(chunks as BlobPart[], { type: attachment.media_type });
}

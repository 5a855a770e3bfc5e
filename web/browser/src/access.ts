/**
 * Giving on the keys of a compartment, and making a new one after somebody left. Each key goes to one person in one wrap,
 * and the giver signs what they did: the server can keep the statement, and cannot make one up.
 */

import { sha256 } from "@noble/hashes/sha2.js";
import { generateKey } from "./age.ts";
import { sha256Hex, toBase64, utf8 } from "./encoding.ts";
import type { Place } from "./objects.ts";
import { sign } from "./signing.ts";
import type { Day, EpochKey, GivenWrap, Hex, HandlerKeys, KeyId, Manifest, NewKey, Recipient, StaffMember } from "./types.ts";
import { WORDS } from "./wordlist.ts";
import { composeWrap } from "./wraps.ts";

const FINGERPRINT_WORDS = 8;

/** Whether the organisation's signed list vouches for somebody's keys, contradicts them, or does not name them. */
export type Trust = "listed" | "unlisted" | "contradicted";

export interface Giving {
  readonly place: Place;
  readonly me: HandlerKeys;
  readonly day: Day;
  readonly until?: Day | null;
  readonly manifest?: Hex | null;
}

/** Seals one key for one colleague and signs the grant. */
export async function giveKey(key: EpochKey, to: StaffMember, giving: Giving): Promise<GivenWrap> {
  const { place, me, day, until = null, manifest = null } = giving;
  const sealed = await composeWrap(key, to.age, { place, manifest, by: me.signing, epoch: key.epoch });
  const statement = {
    v: 1,
    type: "access-grant",
    ...place,
    epoch: key.epoch,
    holder: to.id,
    recipient: sha256Hex(utf8(to.age)),
    wrap: sha256Hex(sealed),
    until,
    day,
    granted_by: me.signing.id,
  };
  const signature = sign(statement, me.signing);
  return { compartment: place.compartment, epoch: key.epoch, holder: to.id, sealed: toBase64(sealed), day, until, signature };
}

/** Makes the next key of a compartment and seals it for everybody who is to hold it. The old key stays readable. */
export async function makeNewKey(
  present: EpochKey,
  holders: readonly StaffMember[],
  others: readonly { readonly holder: "source" | "recovery"; readonly age: Recipient }[],
  giving: Giving,
): Promise<NewKey> {
  const key: EpochKey = { ...(await generateKey()), epoch: present.epoch + 1 };
  const { place, me, manifest = null } = giving;
  const wraps: GivenWrap[] = [];
  for (const holder of holders) wraps.push(await giveKey(key, holder, giving));
  const rest = [];
  for (const { holder, age } of others) {
    const sealed = await composeWrap(key, age, { place, manifest, by: me.signing, epoch: key.epoch });
    rest.push({ holder, sealed: toBase64(sealed) });
  }
  return { compartment: place.compartment, epoch: key.epoch, recipient: key.recipient, wraps, others: rest };
}

/** Compares what the server says of somebody with the list that the organisation's root signed. */
export function trustIn(person: StaffMember, manifest: Manifest | null): Trust {
  const named = manifest?.handlers.find((handler) => handler.id === person.id);
  if (named !== undefined) return named.age === person.age && named.ed25519 === person.ed25519 ? "listed" : "contradicted";
  // One of their two keys under somebody else's name is no better.
  const isElsewhere = manifest?.handlers.some((handler) => handler.age === person.age || handler.ed25519 === person.ed25519);
  return isElsewhere === true ? "contradicted" : "unlisted";
}

/** Eight words that stand for both keys of a person, to be compared by voice: 88 bits. */
export function fingerprint(keys: { readonly age: Recipient; readonly ed25519: KeyId }): string {
  const digest = sha256(utf8(`${keys.age}\n${keys.ed25519}`));
  let [bits, held] = [0, 0];
  const words: string[] = [];
  for (const byte of digest) {
    [bits, held] = [(bits << 8) | byte, held + 8];
    if (held >= 11) {
      held -= 11;
      words.push(WORDS[(bits >> held) & 2047] ?? "");
      bits &= (1 << held) - 1;
    }
    if (words.length === FINGERPRINT_WORDS) break;
  }
  return words.join(" ");
}

/**
 * Wraps: a compartment's identity, sealed for one person. Adding a person adds one small file and taking one away
 * deletes it; what lies in the compartment is never sealed anew.
 */

import { keyOf } from "./age.ts";
import { hasMembers, openJson, sealJson } from "./envelope.ts";
import type { Place } from "./objects.ts";
import { Refused } from "./refusal.ts";
import { holds, sign } from "./signing.ts";
import type { CompartmentKey, EpochKey, Hex, Identity, KeyId, Recipient, SigningKey } from "./types.ts";

const FIRST_EPOCH = 1;
const MEMBERS = ["v", "node", "case", "compartment", "epoch", "identity", "manifest", "granted_by", "signature"] as const;

export async function composeWrap(
  key: CompartmentKey,
  holder: Recipient,
  grant: { readonly place: Place; readonly manifest: Hex | null; readonly by: SigningKey; readonly epoch?: number },
): Promise<Uint8Array> {
  const wrap = {
    v: 1,
    ...grant.place,
    epoch: grant.epoch ?? FIRST_EPOCH,
    identity: key.identity,
    manifest: grant.manifest,
    granted_by: grant.by.id,
  };
  return sealJson({ ...wrap, signature: sign(wrap, grant.by) }, holder);
}

/**
 * Opens a wrap: the compartment's key, and who granted it.
 *
 * mayGrant   the keys a grant is taken from: without it, a server could hand out a key of its own making.
 * recipient  what the key must belong to, where that is known from elsewhere.
 */
export async function openWrap(
  sealed: Uint8Array,
  identity: Identity,
  expected: { readonly place: Place; readonly mayGrant: readonly KeyId[]; readonly recipient?: Recipient; readonly epoch?: number },
): Promise<EpochKey & { readonly grantedBy: KeyId }> {
  const document = await openJson(sealed, identity);
  const { signature, ...wrap } = document;
  const { granted_by: grantedBy, identity: inner } = wrap;
  if (!hasMembers(document, MEMBERS) || typeof inner !== "string" || typeof grantedBy !== "string") {
    throw new Refused("malformed", "wrap");
  }
  const { place, mayGrant, epoch = FIRST_EPOCH } = expected;
  const isHere =
    wrap["v"] === 1 &&
    wrap["epoch"] === epoch &&
    wrap["node"] === place.node &&
    wrap["case"] === place.case &&
    wrap["compartment"] === place.compartment;
  if (!isHere) throw new Refused("wrong-place");
  if (!mayGrant.includes(grantedBy) || !holds(wrap, signature, grantedBy)) throw new Refused("wrong-signature");
  const key = await keyOf(inner);
  if (expected.recipient !== undefined && expected.recipient !== key.recipient) throw new Refused("wrong-place");
  return { ...key, epoch, grantedBy };
}

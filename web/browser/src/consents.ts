/**
 * What a source answered about a use of its alert: yes or no, perhaps to one exact text, signed with the key of its receipt. The last
 * answer counts. The same statement is spelt out by node/intake/consent.py.
 */

import { holds, sign } from "./signing.ts";
import type { Day, Hex, JsonObject, KeyId, SigningKey, WireConsent } from "./types.ts";

type Said = Omit<WireConsent, "signature">;

function statement(said: Said, at: { readonly node: string; readonly case: Hex }): JsonObject {
  const { seq, use, answer, text_sha256, day } = said;
  return { v: 1, type: "consent", node: at.node, case: at.case, seq, use, answer, text_sha256, day };
}

export function signConsent(said: Said, at: { readonly node: string; readonly case: Hex }, by: SigningKey): WireConsent {
  return { ...said, signature: sign(statement(said, at), by) };
}

/** The answers that carry the source's signature, up to the first that does not: a server could have made that one up. */
export function heldConsents(
  given: readonly WireConsent[],
  at: { readonly node: string; readonly case: Hex; readonly source: KeyId },
): readonly WireConsent[] {
  const broken = given.findIndex((one, index) => one.seq !== index + 1 || !holds(statement(one, at), one.signature, at.source));
  return broken < 0 ? given : given.slice(0, broken);
}

/** How publication stands for one text, from what was answered last and which texts the source was asked about. */
export type Standing =
  | { readonly is: "never-asked" | "not-asked-again" }
  | { readonly is: "waiting" | "agreed" | "agreed-as-such" | "agreed-to-another" | "refused" | "refused-another"; readonly day: Day };

export function standingOf(
  answers: readonly WireConsent[],
  asked: readonly { readonly text: Hex; readonly day: Day }[],
  text: Hex,
): Standing {
  const last = answers.findLast((one) => one.use === "publish");
  const question = asked.findLast((one) => one.text === text);
  if (last?.answer === "yes" && last.text_sha256 === text) return { is: "agreed", day: last.day };
  if (last?.answer === "no" && (last.text_sha256 ?? text) === text) return { is: "refused", day: last.day };
  if (question !== undefined) return { is: "waiting", day: question.day };
  if (last?.answer === "no") return { is: "refused-another", day: last.day };
  if (last !== undefined && last.text_sha256 !== null) return { is: "agreed-to-another", day: last.day };
  if (asked.length > 0) return { is: "not-asked-again" };
  return last === undefined ? { is: "never-asked" } : { is: "agreed-as-such", day: last.day };
}

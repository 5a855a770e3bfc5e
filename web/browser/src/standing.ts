/** What a source may do with its alert besides reading and answering: say yes or no, prove that it wrote, take everything back. */

import { signConsent } from "./consents.ts";
import { randomBytes, toHex } from "./encoding.ts";
import { credentials } from "./mailbox.ts";
import { postJson, remove } from "./network.ts";
import { dayInWords, text, today } from "./page.ts";
import { Refused } from "./refusal.ts";
import type { Day, Door, Hex, JsonObject, Mailbox, WireConsent } from "./types.ts";

/** Answers about a use, publication unless named, signed with the key of the receipt: nobody else can say it. The last answer counts. */
export async function answerConsent(
  mailbox: Mailbox,
  answer: "yes" | "no",
  after: { readonly seq: number; readonly day: Day; readonly text?: Hex; readonly use?: WireConsent["use"] },
  door: Door = {},
): Promise<readonly WireConsent[]> {
  const { keys, id } = mailbox;
  const said = { seq: after.seq + 1, use: after.use ?? "publish", answer, text_sha256: after.text ?? null, day: after.day } as const;
  const body = JSON.stringify(signConsent(said, { node: keys.node, case: id }, keys.signing));
  const response = await postJson(keys.node, "/api/v1/mailbox/consents", body, door, credentials(keys)).catch((error: unknown) => {
    // Whoever opened the mailbox signs rightly; what can be wrong is the day, by which the server refuses.
    throw error instanceof Refused && error.reason === "refused" ? new Refused("another-day") : error;
  });
  return ((await response.json()) as { readonly consents: readonly WireConsent[] }).consents;
}

/** The node's signed word that it took in something on a day; with it the two numbers that tie it to this alert. */
export async function proofOfFiling(mailbox: Mailbox, door: Door = {}): Promise<JsonObject> {
  const body = JSON.stringify({ nonce: toHex(randomBytes(32)) });
  const response = await postJson(mailbox.keys.node, "/api/v1/mailbox/proof", body, door, credentials(mailbox.keys));
  return (await response.json()) as JsonObject;
}

/** Deletes everything of this source on the server, keys first. The words find nothing afterwards. */
export async function burnMailbox(mailbox: Mailbox, door: Door = {}): Promise<void> {
  await remove(mailbox.keys.node, "/api/v1/mailbox", door, credentials(mailbox.keys));
}

/** The page's sentence for a move that failed. */
export function whyNotMoved(error: unknown): string {
  return error instanceof Refused && error.reason === "another-day" ? text("clock", { day: dayInWords(today()) }) : text("move-failed");
}

/** Whether the source agrees to exactly the text that would be published: how that stands, in words, and the button that asks. */

import { canonical } from "./canonical.ts";
import { heldConsents, standingOf } from "./consents.ts";
import type { CaseAnswer } from "./desk-api.ts";
import { api } from "./desk-api.ts";
import { intoDialogue } from "./desk-dialogue.ts";
import type { Seat } from "./desk-session.ts";
import { Complaint, onSubmit, slot, view } from "./desk-view.ts";
import { sha256Hex } from "./encoding.ts";
import { composeConsentRequest } from "./open.ts";
import { dayInWords, show, text, today } from "./page.ts";
import type { OpenedAlert } from "./types.ts";

const ASKED = "consent-asked";
const MAY_ASK: readonly string[] = ["intake", "verifier"];
const WHILE: readonly string[] = ["drafting", "in-review"];

/** alert  the opened alert, or null where this person cannot open it: then the answer is shown and nobody can be asked. */
export function showConsent(place: HTMLElement, seat: Seat, answer: CaseAnswer, alert: OpenedAlert | null, done: (answer: CaseAnswer) => Promise<void>): void {
  const { draft } = answer;
  if (draft === null) return place.replaceChildren();
  const form = view("view-consent");
  if (!(form instanceof HTMLFormElement)) throw new Error("The template is not a form.");
  const held = heldConsents(answer.consents, { node: seat.desk.node, case: answer.alert, source: answer.source });
  const asked = answer.history.filter((line) => line.action === ASKED).map((line) => ({ text: line.reason ?? "", day: line.on }));
  const standing = standingOf(held, asked, draft.sha256);
  slot(form, "standing").textContent = text(`source-${standing.is}`, "day" in standing ? { day: dayInWords(standing.day) } : {});
  const share = held.findLast((one) => one.use === "share");
  if (share !== undefined) slot(form, "share").textContent = text(`source-share-${share.answer}`, { day: dayInWords(share.day) });
  show(slot(form, "share"), share !== undefined);
  show(slot(form, "forged"), held.length < answer.consents.length);
  const mayAsk = alert !== null && seat.me.roles.some((role) => MAY_ASK.includes(role)) && WHILE.includes(answer.state);
  show(slot(form, "ask"), mayAsk && standing.is !== "agreed" && standing.is !== "waiting");
  onSubmit(form, async () => {
    if (alert === null) return;
    // What is asked about is what is on this page: the hash is worked out here, from these very fields.
    const hash = sha256Hex(canonical(draft.fields));
    if (hash !== draft.sha256) throw new Complaint(text("other-text"));
    const compose = async (current: OpenedAlert) => ({
      ...(await composeConsentRequest(current, seat.keys, draft.fields, today())),
      text_sha256: hash,
    });
    await done(await intoDialogue(seat, alert, compose, (question) => api.askAboutText(answer.id, question)));
  });
  place.replaceChildren(form);
}

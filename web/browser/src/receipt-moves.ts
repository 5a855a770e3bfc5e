/** The last part of a source's mailbox: consent, the proof of filing, and deleting everything. */

import type { Mailbox, WireConsent } from "./types.ts";
import { byId, dayInWords, make, show, text, today } from "./page.ts";
import { answerConsent, burnMailbox, proofOfFiling, whyNotMoved } from "./standing.ts";

/** Shows how the alert stands now; called whenever a mailbox is shown, and after every answer. */
export function showStanding(mailbox: Mailbox): void {
  show(byId("server-sealed", HTMLElement), mailbox.mode === "server-sealed");
  const last = mailbox.consents.filter((one) => one.use === "publish").at(-1);
  const line = byId("consent-said", HTMLElement);
  if (last === undefined) line.textContent = text("consent-none");
  else line.textContent = text(`consent-${last.answer}${last.text_sha256 === null ? "" : "-text"}`, { day: dayInWords(last.day) });
  const share = mailbox.consents.findLast((one) => one.use === "share");
  byId("share-said", HTMLElement).textContent =
    share === undefined ? text("share-none") : text(`share-${share.answer}`, { day: dayInWords(share.day) });
}

export function prepareStanding(
  current: () => Mailbox | null,
  moves: { readonly answered: (consents: readonly WireConsent[]) => void; readonly burnt: () => void },
): void {
  const said = byId("moves-said", HTMLElement);
  const attempt = (button: HTMLButtonElement, act: (mailbox: Mailbox) => Promise<void>): void => {
    button.addEventListener("click", () => {
      const mailbox = current();
      if (mailbox === null) return;
      button.disabled = true;
      said.textContent = "";
      act(mailbox)
        .catch((error: unknown) => {
          said.textContent = whyNotMoved(error);
        })
        .finally(() => {
          button.disabled = false;
        });
    });
  };
  for (const answer of ["yes", "no"] as const) {
    attempt(byId(`consent-${answer}`, HTMLButtonElement), async (mailbox) => {
      moves.answered(await answerConsent(mailbox, answer, { seq: mailbox.consents.length, day: today() }));
    });
    attempt(byId(`share-${answer}`, HTMLButtonElement), async (mailbox) => {
      moves.answered(await answerConsent(mailbox, answer, { seq: mailbox.consents.length, day: today(), use: "share" }));
    });
  }
  attempt(byId("prove", HTMLButtonElement), async (mailbox) => {
    const proof = await proofOfFiling(mailbox);
    const address = URL.createObjectURL(new Blob([JSON.stringify(proof, null, 2)], { type: "application/json" }));
    make("a", { href: address, download: "proof.json" }).click();
    setTimeout(() => URL.revokeObjectURL(address), 60_000);
    said.textContent = text("proved");
  });
  const sure = byId("burn-sure", HTMLElement);
  byId("burn", HTMLButtonElement).addEventListener("click", () => {
    show(sure, sure.hidden !== false);
    if (sure.hidden === false) byId("burn-now", HTMLButtonElement).focus();
  });
  attempt(byId("burn-now", HTMLButtonElement), async (mailbox) => {
    await burnMailbox(mailbox);
    show(sure, false);
    moves.burnt();
  });
}

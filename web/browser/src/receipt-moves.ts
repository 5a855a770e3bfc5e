/** The last part of a source's mailbox: consent, the proof of filing, and deleting everything. */

import type { Mailbox } from "./types.ts";
import { byId, dayInWords, make, show, text, today } from "./page.ts";
import type { Consent } from "./standing.ts";
import { answerConsent, burnMailbox, proofOfFiling, standingOf } from "./standing.ts";

let consents: readonly Consent[] = [];

/** Shows how the alert stands now; called whenever a mailbox is shown. */
export async function showStanding(mailbox: Mailbox): Promise<void> {
  try {
    const standing = await standingOf(mailbox);
    show(byId("server-sealed", HTMLElement), standing.mode === "server-sealed");
    tellConsent(standing.consents);
  } catch {
    // The dialogue is there all the same; the buttons say by themselves when something fails.
  }
}

export function prepareStanding(current: () => Mailbox | null, burnt: () => void): void {
  const said = byId("moves-said", HTMLElement);
  const attempt = (button: HTMLButtonElement, act: (mailbox: Mailbox) => Promise<void>): void => {
    button.addEventListener("click", () => {
      const mailbox = current();
      if (mailbox === null) return;
      button.disabled = true;
      said.textContent = "";
      act(mailbox)
        .catch(() => {
          said.textContent = text("move-failed");
        })
        .finally(() => {
          button.disabled = false;
        });
    });
  };
  for (const answer of ["yes", "no"] as const) {
    attempt(byId(`consent-${answer}`, HTMLButtonElement), async (mailbox) => {
      tellConsent(await answerConsent(mailbox, answer, { seq: consents.length, day: today() }));
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
    burnt();
  });
}

function tellConsent(answers: readonly Consent[]): void {
  consents = answers;
  const last = answers.filter((one) => one.use === "publish").at(-1);
  const line = byId("consent-said", HTMLElement);
  line.textContent = last === undefined ? text("consent-none") : text(`consent-${last.answer}`, { day: dayInWords(last.day) });
}

/** A new colleague's first page: a name, a passphrase, keys made in this browser, and a recovery code that is really noted. */

import { ApiError, api } from "./desk-api.ts";
import { kdfAddress } from "./desk-session.ts";
import { complain } from "./desk-view.ts";
import { randomBytes } from "./encoding.ts";
import { ReceiptCard } from "./intake-receipt.ts";
import { byId, goTo, show, text } from "./page.ts";
import type { Enrolment } from "./types.ts";
import { enrol, workerKdf } from "./vault.ts";
import { WORDS } from "./wordlist.ts";

const PASSPHRASE_WORDS = 6;
export const MIN_PASSPHRASE = 12;

/** Six words of 2,048 each: 66 bits, before the slow step makes every guess cost half a second. */
export function newPassphrase(): string {
  const bytes = randomBytes(2 * PASSPHRASE_WORDS);
  return Array.from({ length: PASSPHRASE_WORDS }, (_, at) => {
    const [high = 0, low = 0] = bytes.slice(2 * at, 2 * at + 2);
    return WORDS[((high << 8) | low) % WORDS.length];
  }).join(" ");
}

export function openWelcome(): void {
  const token = location.hash.slice(1);
  // The token works once; it need not stay in the address bar or the history.
  history.replaceState(null, "", location.pathname);
  const form = byId("enrol", HTMLFormElement);
  const name = byId("enrol-name", HTMLInputElement);
  const passphrase = byId("enrol-passphrase", HTMLInputElement);
  const again = byId("enrol-again", HTMLInputElement);
  const said = byId("enrol-said", HTMLElement);
  let enrolment: Enrolment | null = null;

  const suggest = (): void => {
    passphrase.value = newPassphrase();
  };
  const open = async (): Promise<void> => {
    if (enrolment === null) return;
    card.progress(text("opening"), 60);
    try {
      await api.welcome(token, name.value.trim(), enrolment);
    } catch (error) {
      if (!(error instanceof ApiError)) throw error;
      const refused = error.status === 404 || error.status === 403 || error.status === 401;
      return card.failed(error.status === 0 ? text("unreachable") : refused ? text("link-used") : error.sentence || text("link-used"));
    }
    enrolment = null;
    form.reset();
    card.forget();
    card.close();
    show(byId("enrolled", HTMLElement));
    goTo(byId("title-enrolled", HTMLElement));
  };
  const back = (): void => {
    card.close();
    show(byId("welcome", HTMLElement));
    name.focus();
  };
  const card = new ReceiptCard({ send: () => void open(), change: back });

  show(byId("welcome", HTMLElement));
  show(byId("no-token", HTMLElement), token === "");
  show(form, token !== "");
  suggest();
  byId("suggest", HTMLButtonElement).addEventListener("click", suggest);
  form.addEventListener("submit", (event) => {
    event.preventDefault();
    const wrong: [HTMLElement, HTMLInputElement, string | null][] = [
      [byId("error-name", HTMLElement), name, name.value.trim() === "" ? text("needed-name") : null],
      [byId("error-passphrase", HTMLElement), passphrase, passphrase.value.length < MIN_PASSPHRASE ? text("short-passphrase") : null],
      [byId("error-again", HTMLElement), again, again.value !== passphrase.value ? text("not-same") : null],
    ];
    for (const [place, input, sentence] of wrong) {
      complain(place, sentence);
      if (sentence === null) input.removeAttribute("aria-invalid");
      else input.setAttribute("aria-invalid", "true");
    }
    const first = wrong.find(([, , sentence]) => sentence !== null);
    if (first) return first[1].focus();
    void makeKeys();
  });

  async function makeKeys(): Promise<void> {
    const button = byId("make-keys", HTMLButtonElement);
    button.disabled = true;
    said.textContent = text("making");
    try {
      const made = await enrol(passphrase.value, workerKdf(kdfAddress()));
      enrolment = made.enrolment;
      show(byId("welcome", HTMLElement), false);
      card.open(made.recoveryCode);
    } catch {
      complain(byId("error-passphrase", HTMLElement), text("not-made"));
    } finally {
      button.disabled = false;
      said.textContent = "";
    }
  }
}

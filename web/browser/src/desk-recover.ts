/** Back in with the twelve recovery words: the same keys, under a new passphrase. */

import { ApiError, api } from "./desk-api.ts";
import { kdfAddress } from "./desk-session.ts";
import { Complaint, onSubmit, slot, view } from "./desk-view.ts";
import { MIN_PASSPHRASE, newPassphrase } from "./desk-welcome.ts";
import { text, within } from "./page.ts";
import { Refused } from "./refusal.ts";
import { openVault, recoveryAuth, recoveryIdentity, reseal, workerKdf } from "./vault.ts";

/** `back` is told what to say at the sign-in, and whose name to put there. */
export function recoverView(name: string, back: (said: string | null, name: string) => void): HTMLElement {
  const root = view("view-recover");
  const form = within(root, "form", HTMLFormElement);
  const nameBox = within(form, "#recover-name", HTMLInputElement);
  const words = within(form, "#recover-words", HTMLTextAreaElement);
  const passphrase = within(form, "#recover-passphrase", HTMLInputElement);
  const again = within(form, "#recover-again", HTMLInputElement);
  nameBox.value = name;
  passphrase.value = newPassphrase();
  within(form, "[data-suggest]", HTMLButtonElement).addEventListener("click", () => {
    passphrase.value = newPassphrase();
  });
  within(form, "[data-cancel]", HTMLButtonElement).addEventListener("click", () => back(null, nameBox.value.trim()));
  onSubmit(form, async () => {
    const whose = nameBox.value.trim();
    if (whose === "" || words.value.trim() === "") throw new Complaint(text("needed"));
    if (passphrase.value.length < MIN_PASSPHRASE) throw new Complaint(text("short-passphrase"));
    if (again.value !== passphrase.value) throw new Complaint(text("not-same"));
    slot(form, "progress").textContent = text("deriving");
    try {
      await recover(whose, words.value, passphrase.value);
    } catch (error) {
      throw complaintOf(error);
    } finally {
      slot(form, "progress").textContent = "";
    }
    form.reset();
    back(text("recovered"), whose);
  });
  return root;
}

async function recover(name: string, words: string, passphrase: string): Promise<void> {
  const proof = recoveryAuth(words);
  const { recovery_vault: vault } = await api.recover(name, proof);
  const keys = await openVault(vault, await recoveryIdentity(words));
  await api.reseal(name, proof, await reseal(keys, passphrase, workerKdf(kdfAddress())));
}

function complaintOf(error: unknown): unknown {
  if (error instanceof Refused) return new Complaint(text(error.reason.startsWith("receipt-") ? "not-words" : "vault-broken"));
  if (error instanceof ApiError && error.status === 401) return new Complaint(text("wrong-recovery"));
  if (error instanceof ApiError && error.status === 429) return new Complaint(text("throttled"));
  return error;
}

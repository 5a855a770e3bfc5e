/** By which door an alert came, what follows from that, and whether its source may still write. */

import { openShared } from "./age.ts";
import type { AlertAnswer } from "./desk-api.ts";
import { api } from "./desk-api.ts";
import type { Seat } from "./desk-session.ts";
import { say, slot } from "./desk-view.ts";
import { sentenceOf } from "./desk-words.ts";
import { make, text } from "./page.ts";
import { Refused } from "./refusal.ts";

const MAY_BLOCK = "intake";
const TOLD: ReadonlySet<string> = new Set(["server-sealed", "staff-entered", "age"]);

/** Whether there is no dialogue behind it: a file of the stock tool, or something its source deleted. */
export function nothingToOpen(record: AlertAnswer): boolean {
  return record.mode === "age" || record.closed_for === "burnt";
}

export function showDoor(root: HTMLElement, seat: Seat, record: AlertAnswer, reload: () => void): void {
  const lines: HTMLElement[] = [];
  const isBurnt = record.closed_for === "burnt";
  if (TOLD.has(record.mode)) lines.push(make("p", { class: "notice" }, text(`door-${record.mode}`)));
  if (isBurnt) lines.push(make("p", { class: "notice" }, text("door-burnt")));
  if (record.is_blocked) lines.push(make("p", {}, text("door-blocked")));
  if (record.mode === "age" && !isBurnt) {
    for (const file of record.attachments) lines.push(opener(seat, record.id, file.upload));
  }
  if (!nothingToOpen(record) && seat.me.roles.includes(MAY_BLOCK)) {
    const button = make("button", { type: "button" }, text(record.is_blocked ? "door-unblock" : "door-block"));
    button.addEventListener("click", () => {
      api.block(record.id, !record.is_blocked).then(reload, (error: unknown) => say(sentenceOf(error)));
    });
    lines.push(make("p", { class: "moves" }, button));
  }
  slot(root, "door").replaceChildren(...lines);
}

function opener(seat: Seat, alert: string, upload: string): HTMLElement {
  const button = make("button", { type: "button", class: "primary" }, text("open-file-short"));
  button.addEventListener("click", () => {
    button.disabled = true;
    say(text("opening-file"));
    saveOpened(seat, alert, upload)
      .then(() => say(text("done")), (error: unknown) => say(error instanceof Refused ? text("file-broken") : sentenceOf(error)))
      .finally(() => {
        button.disabled = false;
      });
  });
  return make("p", { class: "moves" }, button);
}

async function saveOpened(seat: Seat, alert: string, upload: string): Promise<void> {
  const sealed = await api.attachment(alert, upload);
  const plain = await new Response((await openShared(sealed.stream(), seat.keys.identity)) as BodyInit).blob();
  // Saved, never shown: a page of ours must not run or draw what a stranger sent.
  const address = URL.createObjectURL(new Blob([plain], { type: "application/octet-stream" }));
  make("a", { href: address, download: `${alert.slice(0, 8)}.bin` }).click();
  setTimeout(() => URL.revokeObjectURL(address), 60_000);
}

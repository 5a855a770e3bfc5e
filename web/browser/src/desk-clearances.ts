/** What a drafter answers for before a text goes on: reasons why something may stand, and that the consent was read. */

import type { Clearances } from "./desk-api.ts";
import { slot, ticked } from "./desk-view.ts";
import { TOO_LONG, labelOf } from "./desk-words.ts";
import { all, make, text } from "./page.ts";

export function clearancesOf(form: HTMLFormElement): Clearances {
  const cleared: Record<string, string> = {};
  let waiver: string | null = null;
  for (const box of all(form, "[data-clears]", HTMLInputElement)) {
    const reason = box.value.trim();
    if (reason === "") continue;
    if (box.dataset["clears"] === "reply_waiver") waiver = reason;
    else cleared[box.dataset["clears"] ?? ""] = reason;
  }
  return { cleared, reply_waiver: waiver, consent: ticked(form, "consent") };
}

/** Fields whose gate a person may open with a reason: what looks like personal data, and a company that was not asked. */
const MAY_STAND: ReadonlySet<string> = new Set([
  "title", "summary", "content", "verification_statement", "transferability", "results_evidence", "domestic_steps", "region",
  "authority_replies", "follow_ups", "corrections", "consent_text",
]);

export function askWhyItMayStand(form: HTMLFormElement, problems: Readonly<Record<string, string>>): void {
  const place = slot(form, "clearances");
  for (const said of all(place, ":scope > .problem", HTMLElement)) said.remove();
  for (const [key, sentence] of Object.entries(problems)) {
    // No reason lets that stand, and the form says it below.
    if (key === TOO_LONG) continue;
    const clears = key === "actor_name" ? "reply_waiver" : key;
    const known = place.querySelector<HTMLElement>(`[data-for="${CSS.escape(clears)}"] .problem`);
    if (known) known.textContent = sentence;
    else if (MAY_STAND.has(key) || clears === "reply_waiver") place.append(clearance(clears, key, sentence));
    else place.append(make("p", { class: "problem" }, sentence));
  }
}

function clearance(clears: string, key: string, sentence: string): HTMLElement {
  const box = make("input", { id: `clears-${clears}`, "data-clears": clears, maxlength: "500", "aria-describedby": `clears-${clears}-why` });
  return make(
    "div",
    { class: "field", "data-for": clears },
    make("p", { class: "problem", id: `clears-${clears}-why` }, `${labelOf(key)}: ${sentence}`),
    make("label", { for: `clears-${clears}` }, text("may-stand")),
    box,
  );
}


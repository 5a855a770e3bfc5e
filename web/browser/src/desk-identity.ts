/** Who may see who a source is: a reasoned request, and a custodian's yes for some days. Never one's own request. */

import { giveKey } from "./access.ts";
import type { About } from "./desk-access.ts";
import { PersonLine, signedList } from "./desk-access.ts";
import { api } from "./desk-api.ts";
import type { Seat } from "./desk-session.ts";
import { Complaint, onSubmit, say, slot, view, written } from "./desk-view.ts";
import { who } from "./desk-words.ts";
import { dayInWords, make, show, text, today, within } from "./page.ts";
import type { Day, GivenWrap, RequestLine } from "./types.ts";

const DAY_MS = 86_400_000;

export function showIdentityRequests(place: HTMLElement, seat: Seat, about: About, mayOpen: boolean, reload: () => void): void {
  const root = view("view-identity-requests");
  const requests = about.access.requests.filter((one) => one.compartment === "identity");
  const decides = (one: RequestLine): boolean =>
    one.state === "asked" && one.by !== seat.me.id && ((isCustodian(seat) && (about.held.identity ?? []).length > 0) || standsIn(seat, one));
  slot(root, "asked").replaceChildren(
    ...requests.map((one) => make("li", {}, decides(one) ? decision(seat, about, one, reload) : lineOf(seat, one))),
  );
  const form = within(root, "[data-ask-identity]", HTMLFormElement);
  show(form, !mayOpen && !requests.some((one) => one.state === "asked" && one.by === seat.me.id));
  onSubmit(form, async () => {
    const reason = written(form, "reason");
    if (reason === "") throw new Complaint(text("reason-needed"));
    await api.askFor("alerts", about.id, "identity", reason);
    say(text("sent"));
    reload();
  });
  place.replaceChildren(root);
}

function isCustodian(seat: Seat): boolean {
  return seat.me.roles.includes("custodian");
}

/** Where the only custodian asks, somebody else who reads alerts decides; no key is given by that. */
function standsIn(seat: Seat, request: RequestLine): boolean {
  const custodians = seat.desk.staff.filter((one) => one.left !== true && one.roles.includes("custodian"));
  const reads = seat.me.roles.includes("intake") || seat.me.roles.includes("verifier");
  return reads && custodians.length === 1 && custodians[0]?.id === request.by;
}

function lineOf(seat: Seat, one: RequestLine): string {
  const name = who(seat, {}, one.by);
  const by = who(seat, {}, one.decided_by);
  const day = dayInWords(one.decided_on ?? one.on);
  if (one.state === "granted") return text("identity-granted", { who: name, by, day, until: dayInWords(one.until ?? "") });
  if (one.state === "refused") return text("identity-refused", { who: name, by, day, reason: one.refusal ?? "" });
  if (one.by === seat.me.id) return text("identity-asked", { day });
  return text("identity-wanted", { who: name, day });
}

function decision(seat: Seat, about: About, request: RequestLine, reload: () => void): HTMLElement {
  const form = view("view-identity-decision");
  if (!(form instanceof HTMLFormElement)) throw new Error("The template is not a form.");
  slot(form, "who").textContent = text("identity-wanted", { who: who(seat, {}, request.by), day: dayInWords(request.on) });
  slot(form, "reason").textContent = request.reason ?? "";
  const member = seat.desk.staff.find((one) => one.id === request.by);
  const holds = (about.access.holders.identity ?? []).includes(request.by);
  const lineReady = member === undefined || holds ? null : signedList().then((manifest) => new PersonLine(member, manifest, true));
  void lineReady?.then((line) => slot(form, "people").replaceChildren(line.root));
  onSubmit(form, async (submitter) => {
    if (submitter instanceof HTMLButtonElement && submitter.value === "no") {
      const reason = written(form, "refusal");
      if (reason === "") throw new Complaint(text("reason-needed"));
      await api.refuseIdentity(request.id, reason);
    } else {
      const days = Number(written(form, "days"));
      if (!Number.isInteger(days) || days < 1 || days > 30) throw new Complaint(text("bad-number"));
      const wraps: GivenWrap[] = [];
      if (member !== undefined && lineReady !== null) {
        (await lineReady).requireTrust();
        const place = { node: seat.desk.node, case: about.id, compartment: "identity" } as const;
        for (const key of about.held.identity ?? []) {
          wraps.push(await giveKey(key, member, { place, me: seat.keys, day: today(), until: inDays(days) }));
        }
      }
      await api.grantIdentity(request.id, days, wraps);
    }
    say(text("done"));
    reload();
  });
  return form;
}

function inDays(days: number): Day {
  return new Date(Date.parse(`${today()}T00:00:00Z`) + days * DAY_MS).toISOString().slice(0, 10);
}

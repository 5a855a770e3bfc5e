/** The desk's entry: somebody signs in, works, and is locked out again. /desk/welcome shares this script. */

import { ApiError } from "./desk-api.ts";
import { listenForKeys } from "./desk-keys.ts";
import { Rooms } from "./desk-rooms.ts";
import { rememberedName, signIn, signOut, watchIdle } from "./desk-session.ts";
import { complain, say, slot, view } from "./desk-view.ts";
import { recoverView } from "./desk-recover.ts";
import { sentenceOf } from "./desk-words.ts";
import { openWelcome } from "./desk-welcome.ts";
import { byId, show, text, within } from "./page.ts";
import { Refused } from "./refusal.ts";

function openDesk(): void {
  const place = byId("view", HTMLElement);
  let rooms: Rooms | null = null;
  let stopWatching = (): void => undefined;

  const lock = async (sentence: string): Promise<void> => {
    if (rooms === null) return;
    rooms = null;
    stopWatching();
    // What was opened leaves the page before the server is asked anything.
    place.replaceChildren();
    show(byId("rooms", HTMLElement), false);
    show(byId("me", HTMLElement), false);
    say("");
    await signOut();
    showSignIn(sentence, null);
  };

  const showSignIn = (sentence: string | null, name: string | null): void => {
    const root = view("view-signin");
    const form = within(root, "form", HTMLFormElement);
    const nameBox = within(form, "#signin-name", HTMLInputElement);
    const passphrase = within(form, "#signin-passphrase", HTMLInputElement);
    complain(slot(root, "why"), sentence);
    if (name !== null) nameBox.value = name;
    form.addEventListener("submit", (event) => {
      event.preventDefault();
      void enter(form, nameBox.value.trim(), passphrase);
    });
    within(root, "[data-recover]", HTMLButtonElement).addEventListener("click", () => {
      const back = (said: string | null, whose: string): void => showSignIn(said, whose === "" ? null : whose);
      place.replaceChildren(recoverView(nameBox.value.trim(), back));
      place.querySelector<HTMLElement>("h1")?.focus();
    });
    place.replaceChildren(root);
    (name === null ? nameBox : passphrase).focus();
  };

  const enter = async (form: HTMLFormElement, name: string, passphrase: HTMLInputElement): Promise<void> => {
    const button = within(form, "button[type=submit]", HTMLButtonElement);
    const progress = slot(form, "progress");
    const problem = within(form, "#error-signin", HTMLElement);
    complain(problem, null);
    if (name === "" || passphrase.value === "") return complain(problem, text("needed"));
    button.disabled = true;
    progress.textContent = text("deriving");
    try {
      const seat = await signIn(name, passphrase.value);
      passphrase.value = "";
      rooms = new Rooms(seat);
      slot(byId("me", HTMLElement), "me").textContent = seat.me.name;
      show(byId("rooms", HTMLElement));
      show(byId("me", HTMLElement));
      stopWatching = watchIdle(() => void lock(text("locked-idle")));
      await rooms.show(location.hash);
    } catch (error) {
      complain(problem, whyNot(error));
      passphrase.select();
    } finally {
      button.disabled = false;
      progress.textContent = "";
    }
  };

  window.addEventListener("hashchange", () => void rooms?.show(location.hash));
  document.addEventListener("desk-changed", () => void rooms?.refresh());
  document.addEventListener("desk-stale", () => void rooms?.show(location.hash));
  document.addEventListener("desk-lock", () => void lock(text("locked")));
  byId("lock", HTMLButtonElement).addEventListener("click", () => void lock(text("locked")));
  listenForKeys({
    search: () => rooms?.search(),
    step: (by) => rooms?.step(by),
    go: (room) => {
      if (rooms !== null) location.hash = `#/${room}`;
    },
  });
  void rememberedName().then((name) => {
    if (rooms === null) showSignIn(null, name);
  });
}

function whyNot(error: unknown): string {
  if (error instanceof Refused) return text("vault-broken");
  if (error instanceof ApiError && error.status === 401) return text("wrong-passphrase");
  if (error instanceof ApiError && error.status === 429) return text("throttled");
  return sentenceOf(error);
}

if (document.getElementById("welcome")) openWelcome();
else openDesk();

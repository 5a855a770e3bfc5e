/** Single keys for people who live at the desk. They can be switched off, and never act while somebody types. */

import { byId } from "./page.ts";

export interface Keys {
  readonly search: () => void;
  readonly step: (by: 1 | -1) => void;
  readonly go: (room: "alerts" | "cases" | "people") => void;
}

const ROOMS: Readonly<Record<string, "alerts" | "cases" | "people">> = { a: "alerts", c: "cases", p: "people" };
const SECOND_KEY_WITHIN_MS = 1500;

export function listenForKeys(keys: Keys): void {
  const dialog = byId("keys", HTMLDialogElement);
  const isOn = byId("keys-on", HTMLInputElement);
  let pressedG = -SECOND_KEY_WITHIN_MS;
  byId("keys-help", HTMLButtonElement).addEventListener("click", () => dialog.showModal());
  document.addEventListener("keydown", (event) => {
    if (!isOn.checked || dialog.open || event.ctrlKey || event.metaKey || event.altKey || isTyping(event.target)) return;
    const isSecond = event.timeStamp - pressedG < SECOND_KEY_WITHIN_MS;
    pressedG = -SECOND_KEY_WITHIN_MS;
    const room = ROOMS[event.key];
    if (isSecond && room !== undefined) keys.go(room);
    else if (event.key === "g") pressedG = event.timeStamp;
    else if (event.key === "/") keys.search();
    else if (event.key === "j") keys.step(1);
    else if (event.key === "k") keys.step(-1);
    else if (event.key === "?") dialog.showModal();
    else return;
    event.preventDefault();
  });
}

function isTyping(target: EventTarget | null): boolean {
  if (target instanceof HTMLInputElement) return !["checkbox", "radio", "button"].includes(target.type);
  return target instanceof HTMLTextAreaElement || target instanceof HTMLSelectElement;
}

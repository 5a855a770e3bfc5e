/** Small pieces every view of the desk is made of: templates, sentences said aloud, forms that send once. */

import { byId, show, within } from "./page.ts";
import { ApiError } from "./desk-api.ts";
import { sentenceOf } from "./desk-words.ts";

/** A fresh copy of the page's template of that name; it has one root element. */
export function view(name: string): HTMLElement {
  const copy = byId(name, HTMLTemplateElement).content.cloneNode(true);
  const root = (copy as DocumentFragment).firstElementChild;
  if (!(root instanceof HTMLElement)) throw new Error(`The template ${name} is empty.`);
  return root;
}

export function slot(root: ParentNode, name: string): HTMLElement {
  return within(root, `[data-${name}]`, HTMLElement);
}

/** Says a sentence where screen readers hear it and everybody sees it. */
export function say(sentence: string): void {
  byId("said", HTMLElement).textContent = sentence;
}

export function complain(place: HTMLElement, sentence: string | null): void {
  place.textContent = sentence ?? "";
  show(place, sentence !== null);
}

/**
 * Makes a form send once at a time. What goes wrong is said in its [data-error] line; `act` may throw a Complaint.
 */
export function onSubmit(form: HTMLFormElement, act: (submitter: HTMLElement | null) => Promise<void>): void {
  form.addEventListener("submit", (event) => {
    event.preventDefault();
    const buttons = [...form.querySelectorAll("button")];
    const place = form.querySelector<HTMLElement>("[data-error]");
    if (place) complain(place, null);
    for (const button of buttons) button.disabled = true;
    act(event.submitter)
      .catch((error: unknown) => {
        const sentence = error instanceof Complaint ? error.message : sentenceOf(error);
        if (place) complain(place, sentence);
        else say(sentence);
        if (error instanceof ApiError && error.status === 401) document.dispatchEvent(new CustomEvent("desk-lock"));
        if (error instanceof ApiError && error.status === 409) {
          // Somebody was quicker: the page shows the present state, and says why.
          say(sentence);
          document.dispatchEvent(new CustomEvent("desk-stale"));
        }
      })
      .finally(() => {
        for (const button of buttons) button.disabled = false;
      });
  });
}

/** Something the person at the desk has to mend before a form can go. */
export class Complaint extends Error {}

export function ticked(form: ParentNode, name: string): boolean {
  return form.querySelector<HTMLInputElement>(`input[name="${name}"]`)?.checked ?? false;
}

export function picked(form: ParentNode, name: string): string {
  return form.querySelector<HTMLInputElement>(`input[name="${name}"]:checked`)?.value ?? "";
}

export function written(form: ParentNode, name: string): string {
  const control = form.querySelector<HTMLInputElement | HTMLTextAreaElement | HTMLSelectElement>(`[name="${name}"]`);
  return control?.value.trim() ?? "";
}

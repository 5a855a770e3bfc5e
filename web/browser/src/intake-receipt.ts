/**
 * The twelve words: shown large, noted by the source, two of them typed again, and only then sent.
 * The words live in this page's memory alone.
 */

import { byId, goTo, make, show, text, within } from "./page.ts";

interface Moves {
  readonly send: () => void;
  readonly change: () => void;
}

export class ReceiptCard {
  readonly #section = byId("receipt", HTMLElement);
  readonly #shown = byId("words-shown", HTMLElement);
  readonly #retype = byId("retype", HTMLFormElement);
  readonly #sending = byId("sending", HTMLElement);
  readonly #first = byId("word-first", HTMLInputElement);
  readonly #second = byId("word-second", HTMLInputElement);
  readonly #wrong = byId("error-word", HTMLElement);
  readonly #moves: Moves;
  #words: string | null = null;
  #digits = "";
  #asked: readonly [number, number] = [0, 1];

  constructor(moves: Moves) {
    this.#moves = moves;
    byId("copy", HTMLButtonElement).addEventListener("click", () => void this.#copy());
    byId("print", HTMLButtonElement).addEventListener("click", () => window.print());
    byId("noted", HTMLButtonElement).addEventListener("click", () => this.#ask());
    byId("again", HTMLButtonElement).addEventListener("click", () => this.open(this.#words ?? "", this.#digits));
    byId("change", HTMLButtonElement).addEventListener("click", () => this.#moves.change());
    byId("answers", HTMLButtonElement).addEventListener("click", () => this.#moves.change());
    byId("retry", HTMLButtonElement).addEventListener("click", () => this.#moves.send());
    this.#retype.addEventListener("submit", (event) => {
      event.preventDefault();
      this.#compare();
    });
  }

  get words(): string | null {
    return this.#words;
  }

  /** digits  the same in figures, where the page has a place for them. */
  open(words: string, digits = ""): void {
    this.#write(words, digits);
    show(this.#shown);
    show(this.#retype, false);
    show(this.#sending, false);
    show(this.#section);
    goTo(byId("title-receipt", HTMLElement));
  }

  close(): void {
    show(this.#section, false);
  }

  forget(): void {
    this.#write(null, "");
    this.#retype.reset();
  }

  #write(words: string | null, digits: string): void {
    this.#words = words;
    this.#digits = digits;
    byId("words", HTMLOListElement).replaceChildren(...(words?.split(" ") ?? []).map((word) => make("li", {}, word)));
    const place = document.getElementById("digits");
    if (place !== null) place.textContent = digits;
  }

  progress(said: string, share: number): void {
    show(this.#retype, false);
    show(this.#shown, false);
    show(this.#sending);
    const line = byId("sending-said", HTMLElement);
    // A live region that is written again with the same words is read again.
    if (line.textContent !== said) line.textContent = said;
    byId("sending-bar", HTMLProgressElement).value = share;
    show(byId("sending-error", HTMLElement), false);
    show(byId("retry", HTMLButtonElement), false);
    show(byId("answers", HTMLButtonElement), false);
    const isThere = document.getElementById("is-there");
    if (isThere !== null) show(isThere, false);
  }

  failed(sentence: string): void {
    const place = byId("sending-error", HTMLElement);
    place.textContent = sentence;
    show(place);
    show(byId("retry", HTMLButtonElement));
    show(byId("answers", HTMLButtonElement));
    place.focus();
  }

  /** An earlier version lies in the mailbox of these words: trying again would not help, opening it does. */
  isThere(): void {
    const place = byId("is-there", HTMLElement);
    show(place);
    show(byId("answers", HTMLButtonElement));
    place.focus();
  }

  #ask(): void {
    this.#asked = twoPlaces();
    for (const [input, place] of [[this.#first, this.#asked[0]], [this.#second, this.#asked[1]]] as const) {
      input.value = "";
      input.removeAttribute("aria-invalid");
      const field = input.closest(".field");
      if (field) within(field, "label", HTMLLabelElement).textContent = text("word", { n: place + 1 });
    }
    show(this.#wrong, false);
    show(this.#shown, false);
    show(this.#retype);
    this.#first.focus();
  }

  #compare(): void {
    const words = (this.#words ?? "").split(" ");
    const pairs = [[this.#first, this.#asked[0]], [this.#second, this.#asked[1]]] as const;
    // Who noted the digits has no words to type: all of them, in either box.
    const digits = this.#digits.replace(/\D/g, "");
    if (digits !== "" && pairs.some(([input]) => input.value.replace(/[\s.,-]/g, "") === digits)) return this.#moves.send();
    const wrong = pairs.filter(([input, place]) => input.value.trim().toLowerCase() !== words[place]);
    for (const [input] of pairs) input.removeAttribute("aria-invalid");
    for (const [input] of wrong) input.setAttribute("aria-invalid", "true");
    this.#wrong.textContent = wrong.length > 0 ? text("wrong-word") : "";
    show(this.#wrong, wrong.length > 0);
    if (wrong[0]) wrong[0][0].focus();
    else this.#moves.send();
  }

  async #copy(): Promise<void> {
    const said = byId("copied", HTMLElement);
    try {
      await navigator.clipboard.writeText(this.#words ?? "");
      said.textContent = text("copied");
    } catch {
      said.textContent = text("not-copied");
    }
  }
}

/** Two different places of twelve, in order, that nobody can foresee. */
function twoPlaces(): readonly [number, number] {
  const [a = 0, b = 0] = crypto.getRandomValues(new Uint32Array(2));
  const first = a % 12;
  const second = (first + 1 + (b % 11)) % 12;
  return first < second ? [first, second] : [second, first];
}

/**
 * What every page of ours shares: its translated sentences, the way out, and a few words for the DOM.
 * Texts come from the page's <template id="texts">, so that nothing a person reads is written in a script.
 */

/** The element with that id, of that class; a page without it is broken, and says so at once. */
export function byId<E extends HTMLElement>(id: string, kind: new () => E): E {
  const found = document.getElementById(id);
  if (!(found instanceof kind)) throw new Error(`The page has no ${kind.name} #${id}.`);
  return found;
}

export function within<E extends Element>(root: ParentNode, selector: string, kind: new () => E): E {
  const found = root.querySelector(selector);
  if (!(found instanceof kind)) throw new Error(`The page has no ${kind.name} ${selector}.`);
  return found;
}

export function all<E extends Element>(root: ParentNode, selector: string, kind: new () => E): E[] {
  return [...root.querySelectorAll(selector)].filter((found): found is E => found instanceof kind);
}

function sentence(name: string): string | null {
  const texts = byId("texts", HTMLTemplateElement).content;
  return texts.querySelector(`[data-text="${CSS.escape(name)}"]`)?.textContent ?? null;
}

/** The page's sentence of that name, with its {places} filled. */
export function text(name: string, values: Readonly<Record<string, string | number>> = {}): string {
  const said = sentence(name);
  if (said === null) throw new Error(`The page has no text “${name}”.`);
  return said.replace(/\{(\w+)\}/g, (place, key: string) => (key in values ? String(values[key]) : place));
}

/** Whether the page has a sentence of that name. */
export function hasText(name: string): boolean {
  return sentence(name) !== null;
}

/** A new element with attributes and children; strings become text, never markup. */
export function make<K extends keyof HTMLElementTagNameMap>(
  tag: K,
  attributes: Readonly<Record<string, string>> = {},
  ...children: readonly (Node | string)[]
): HTMLElementTagNameMap[K] {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) element.setAttribute(name, value);
  element.append(...children);
  return element;
}

export function show(element: HTMLElement, shown = true): void {
  element.hidden = !shown;
}

/** Brings a part into view and puts the focus on its heading, so that a screen reader reads on from there. */
export function goTo(heading: HTMLElement): void {
  heading.focus({ preventScroll: true });
  heading.scrollIntoView({ block: "start" });
}

/** The page's language as Intl knows it; English days read “12 March 2026”, as on the pages the server writes. */
export function locale(): string {
  const language = document.documentElement.lang;
  return language === "en" ? "en-GB" : language;
}

/** A day written out in the page's language. */
export function dayInWords(day: string): string {
  const date = new Date(`${day.slice(0, 10)}T12:00:00Z`);
  if (Number.isNaN(date.getTime())) return day;
  return new Intl.DateTimeFormat(locale(), { dateStyle: "long", timeZone: "UTC" }).format(date);
}

/** Today in UTC, as every sealed object gives it. */
export function today(now: Date = new Date()): string {
  return now.toISOString().slice(0, 10);
}

/** About how large, in the page's language. */
export function sizeInWords(bytes: number): string {
  const steps = ["byte", "kilobyte", "megabyte", "gigabyte"] as const;
  let amount = bytes;
  let step = 0;
  while (amount >= 1000 && step < steps.length - 1) {
    amount /= 1000;
    step += 1;
  }
  const unit = { style: "unit", unit: steps[step] ?? "byte", unitDisplay: step === 0 ? "long" : "short" } as const;
  const digits = step > 1 ? 1 : 0;
  return new Intl.NumberFormat(locale(), { ...unit, maximumFractionDigits: digits }).format(amount);
}

const ESCAPE_TWICE_WITHIN_MS = 1500;

/**
 * Makes the way out work: the link in the corner, or Escape twice. The page is emptied first, because a browser may keep
 * a picture of it, and then replaced, so that Back does not lead here.
 */
export function openWayOut(forget: () => void): void {
  const link = byId("leave", HTMLAnchorElement);
  const away = link.href;
  const leave = (): void => {
    forget();
    document.body.replaceChildren();
    document.title = "";
    location.replace(away);
  };
  link.addEventListener("click", (event) => {
    event.preventDefault();
    leave();
  });
  let last = -ESCAPE_TWICE_WITHIN_MS;
  document.addEventListener("keydown", (event) => {
    if (event.key !== "Escape" || event.repeat) return;
    if (event.timeStamp - last < ESCAPE_TWICE_WITHIN_MS) leave();
    last = event.timeStamp;
  });
}

/** The node's own name, by which keys and signatures know it: at its onion address a page has another one. */
export function nodeOrigin(): string {
  return within(document, 'meta[name="srt-node"]', HTMLMetaElement).content;
}

/** The organisation's root key as this page carries it; without one nothing is sealed. */
export function rootKey(): string | null {
  return document.querySelector('meta[name="srt-root"]')?.getAttribute("content") || null;
}

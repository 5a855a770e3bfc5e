/** A form as it travels, with its texts by language: what the editor changes. */

export type Texts = Record<string, string>;

export interface Option {
  value: string;
  label: Texts;
  more?: Texts;
}

export interface Question {
  key: string;
  type?: string;
  label: Texts;
  hint?: Texts;
  required?: boolean;
  options?: Option[];
  show_if?: { key: string; values: string[] };
}

export interface Step {
  id: string;
  title: Texts;
  questions: Question[];
}

export interface Form {
  v: 1;
  purpose: string;
  notice?: Texts;
  steps: Step[];
}

/** The text in the language of the page, or in another where there is none. */
export function best(texts: Texts): string {
  return texts[document.documentElement.lang] ?? texts["en"] ?? Object.values(texts)[0] ?? "";
}

/** A name that begins so and is not taken. */
export function freeName(start: string, taken: readonly string[]): string {
  for (let number = taken.length + 1; ; number += 1) {
    if (!taken.includes(`${start}${number}`)) return `${start}${number}`;
  }
}

/** The form without the empty texts that editing leaves behind. */
export function tidied(whole: Form): Form {
  return JSON.parse(JSON.stringify(whole, (key, value: unknown) => (["hint", "more", "notice"].includes(key) && value !== null && Object.keys(value ?? {}).length === 0 ? undefined : value))) as Form;
}

/** What documents tell about their makers, and copies that tell less. Fetched when the first document is chosen, never before. */

import { lookIntoOffice } from "./clean-office.ts";
import { lookIntoPdf } from "./clean-pdf.ts";
import type { Traces } from "./traces.ts";

/** Something a document holds besides its pages. */
export type Tell = "holds-files" | "scripts" | "commentators" | "form" | "earlier-versions" | "tracked-changes";

/** Why there is no clean copy: it is locked, cannot be read, or would not be faithful. */
export type Why = "locked" | "broken" | "form" | "pictures" | "holds-files" | "too-large";

export class CannotClean extends Error {
  readonly reason: Why;

  constructor(reason: Why) {
    super(reason);
    this.reason = reason;
  }
}

export interface Looked {
  readonly traces: Traces | null;
  readonly tells: readonly Tell[];
  readonly clean: File | null;
  readonly why: Why | null;
}

/** Held in memory whole while it is taken apart; a telephone has not much more. */
const LARGEST = 64 * 1024 * 1024;
const OFFICE: ReadonlySet<string> = new Set(["docx", "xlsx", "odt", "ods"]);

/** Whether files with this ending can be looked into. */
export async function lookInto(file: File): Promise<Looked> {
  if (file.size > LARGEST) return { traces: null, tells: [], clean: null, why: "too-large" };
  const bytes = new Uint8Array(await file.arrayBuffer());
  const ending = file.name.toLowerCase().split(".").at(-1) ?? "";
  try {
    const { clean, ...found } = OFFICE.has(ending) ? await lookIntoOffice(bytes) : await lookIntoPdf(bytes);
    return { ...found, clean: clean === null ? null : new File([clean as BlobPart], file.name, { type: file.type, lastModified: 0 }) };
  } catch (error) {
    return { traces: null, tells: [], clean: null, why: error instanceof CannotClean ? error.reason : "broken" };
  }
}

/** The one error of the browser modules: a refusal with its reason, for pages to put into words. */

import type { Reason } from "./types.ts";

export class Refused extends Error {
  readonly reason: Reason;
  readonly detail: string | undefined;

  constructor(reason: Reason, detail?: string) {
    super(detail === undefined ? reason : `${reason}: ${detail}`);
    this.name = "Refused";
    this.reason = reason;
    this.detail = detail;
  }
}

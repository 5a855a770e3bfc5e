/** What tests of refusals need: the reason a call was refused for. */

import assert from "node:assert/strict";
import { Refused } from "../src/refusal.ts";
import type { Reason } from "../src/types.ts";

export async function refusedFor(reason: Reason, act: () => unknown): Promise<void> {
  await assert.rejects(async () => act(), (error: unknown) => {
    assert.ok(error instanceof Refused, `refused with ${String(error)}`);
    assert.equal(error.reason, reason);
    return true;
  });
}

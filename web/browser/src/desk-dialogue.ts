/** Putting something into a source's mailbox from the desk, and behind whatever somebody else put there meanwhile. */

import { ApiError, api } from "./desk-api.ts";
import type { Seat } from "./desk-session.ts";
import { openAlert } from "./open.ts";
import type { NewObject, OpenedAlert } from "./types.ts";

const MAX_TRIES = 3;

export async function intoDialogue<Sealed extends NewObject, Answer>(
  seat: Seat,
  opened: OpenedAlert,
  compose: (current: OpenedAlert) => Promise<Sealed>,
  post: (sealed: Sealed) => Promise<Answer>,
): Promise<Answer> {
  let current = opened;
  for (let tries = 0; ; tries += 1) {
    try {
      return await post(await compose(current));
    } catch (error) {
      if (!(error instanceof ApiError) || error.status !== 409 || tries >= MAX_TRIES) throw error;
      current = await openAlert(await api.alert(opened.id), seat.keys, seat.desk);
    }
  }
}

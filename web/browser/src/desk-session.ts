/**
 * Who sits at the desk: their keys, held in this page's memory only, and the clock that takes them away again.
 * The server's session and the opened vault are two things: after a reload the first may live on, the second never does.
 */

import type { Person, SessionAnswer } from "./desk-api.ts";
import { ApiError, api } from "./desk-api.ts";
import type { Desk } from "./open.ts";
import { nodeOrigin } from "./page.ts";
import type { HandlerKeys, StaffMember } from "./types.ts";
import { deriveLogin, openVault, workerKdf } from "./vault.ts";

export const IDLE_MS = 10 * 60 * 1000;

export interface Seat {
  readonly me: Person;
  readonly keys: HandlerKeys;
  readonly desk: Desk;
}

/** Where the slow step's worker is served. */
export function kdfAddress(): string {
  const address = document.querySelector('meta[name="srt-kdf"]')?.getAttribute("content");
  if (!address) throw new Error("The page does not say where the worker is.");
  return address;
}

/** Works out the login and opens the vault. The passphrase and what derives from it go no further than here. */
export async function signIn(name: string, passphrase: string): Promise<Seat> {
  const { salt } = await api.salt(name);
  const login = await deriveLogin(passphrase, salt, workerKdf(kdfAddress()));
  const session: SessionAnswer = await api.signIn(name, login.auth);
  const keys = await openVault(session.vault, login.vaultIdentity);
  return { me: session.staff, keys, desk: { node: nodeOrigin(), staff: await api.staff() } };
}

/** The name the server still knows this browser by, to spare typing it; null when there is none. */
export async function rememberedName(): Promise<string | null> {
  try {
    return (await api.session()).staff.name;
  } catch (error) {
    if (error instanceof ApiError) return null;
    throw error;
  }
}

export async function signOut(): Promise<void> {
  try {
    await api.signOut();
  } catch (error) {
    // The keys are gone from this page all the same; the server's session ends by itself.
    if (!(error instanceof ApiError)) throw error;
  }
}

/** Calls `lock` when nobody has touched the page for ten minutes, also when the machine slept meanwhile. */
export function watchIdle(lock: () => void, now: () => number = Date.now): () => void {
  let touched = now();
  const touch = (): void => {
    touched = now();
  };
  const look = (): void => {
    if (now() - touched >= IDLE_MS) lock();
  };
  const kinds = ["pointerdown", "keydown", "wheel", "touchstart"] as const;
  for (const kind of kinds) document.addEventListener(kind, touch, { passive: true });
  document.addEventListener("visibilitychange", look);
  const timer = setInterval(look, 5000);
  return () => {
    clearInterval(timer);
    document.removeEventListener("visibilitychange", look);
    for (const kind of kinds) document.removeEventListener(kind, touch);
  };
}

export function nameOf(seat: Seat, people: { readonly [id: string]: string }, id: string): string | null {
  const known = seat.desk.staff.find((member: StaffMember) => member.id === id)?.name;
  return known ?? people[id] ?? null;
}

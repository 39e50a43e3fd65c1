/** Tokens as a client may read them: their claims, never their proof; and their renewal. */

import type { Seat } from "./seat";
import { wait } from "./waiting";

/** Return a JWT's claims, or nothing when it is none. Only its signer can say whether they are true. */
export function claimsOf(token: string): Record<string, unknown> {
  try {
    const payload = (token.split(".")[1] ?? "").replace(/-/g, "+").replace(/_/g, "/");
    const bytes = Uint8Array.from(atob(payload), (character) => character.charCodeAt(0));
    return JSON.parse(new TextDecoder().decode(bytes)) as Record<string, unknown>;
  } catch {
    return {};
  }
}

/** A timer of a browser holds 31 bits of milliseconds. */
const LONGEST_MS = 2 ** 31 - 1;

/** Renew the seat's token each time four fifths of its life are over, until `signal` aborts. */
export async function renewBefore(seat: Seat, signal: AbortSignal): Promise<void> {
  for (;;) {
    const expiry = claimsOf(seat.token)["exp"];
    if (typeof expiry !== "number") return;
    const left = Math.max(0, expiry * 1000 - Date.now());
    await wait(Math.min(Math.max(10_000, left * 0.8), LONGEST_MS), signal);
    if (signal.aborted) return;
    await seat.renew().catch(() => undefined); // what is over shows itself in the stream of events
  }
}

import { afterEach, expect, test, vi } from "vitest";
import type { Seat } from "../src/client/seat";
import { claimsOf, renewBefore } from "../src/client/token";

afterEach(() => void vi.useRealTimers());

function tokenFor(seconds: number): string {
  const claims = { exp: Math.floor(Date.now() / 1000) + seconds, name: "Zoë" };
  return `e30.${Buffer.from(JSON.stringify(claims)).toString("base64url")}.signature`;
}

test("claims are read from a token, and none from anything else", () => {
  expect(claimsOf(tokenFor(60))).toMatchObject({ name: "Zoë" });
  expect(claimsOf("nonsense")).toEqual({});
});

test("a token is renewed when four fifths of its life are over, again and again", async () => {
  vi.useFakeTimers({ now: 1_800_000_000_000 });
  const renew = vi.fn(async () => void (seat.token = tokenFor(100)));
  const seat = { token: tokenFor(100), renew } as unknown as Seat;
  const stopped = new AbortController();
  const renewing = renewBefore(seat, stopped.signal);
  await vi.advanceTimersByTimeAsync(79_000);
  expect(renew).toHaveBeenCalledTimes(0);
  await vi.advanceTimersByTimeAsync(2_000);
  expect(renew).toHaveBeenCalledTimes(1);
  await vi.advanceTimersByTimeAsync(80_000);
  expect(renew).toHaveBeenCalledTimes(2);
  stopped.abort();
  await renewing;
});

import { afterEach, beforeEach, describe, expect, test, vi } from "vitest";
import { wordsForConnection } from "../src/page/words";
import { fakeRoom, fakeTrack, until, type FakeRoom } from "./fake-room";
import type { Publication } from "../src/client";

const open: FakeRoom[] = [];
beforeEach(() => void vi.useFakeTimers({ toFake: ["setTimeout", "clearTimeout", "Date"] })); // `until` lets their time pass
afterEach(() => {
  open.splice(0).forEach(({ room }) => room.abandon());
  vi.useRealTimers();
});

interface Call extends FakeRoom {
  publication: Publication;
  /** Of ada, received. */
  picture: string;
  /** How the connection was since. */
  states: string[];
}

async function inCall(): Promise<Call> {
  const made = await fakeRoom();
  open.push(made);
  made.gateway.joins("ada");
  const picture = made.gateway.produces("ada", "video");
  const publication = await made.room.publish(fakeTrack("video"));
  await until(() => made.told.includes(`trackAdded ${picture}`));
  const states: string[] = [];
  made.room.on("connection", (state) => states.push(state));
  return { ...made, publication, picture, states };
}

function transportsAsked({ gateway }: FakeRoom): number {
  return gateway.asked.filter(({ path }) => path.endsWith("/transports")).length;
}

/** Wait until both directions are carried anew, from ada's `picture` on. */
async function carriedAgain({ gateway, room, told, publication }: Call, picture: string): Promise<void> {
  await until(() => told.includes(`trackAdded ${picture}`) && gateway.producers.has(publication.producerId ?? ""));
  await until(() => room.connection === "connected");
}

describe("a meeting that no media server has room for", () => {
  test("is waited for, and asked for nothing, until it is placed", async () => {
    const call = await inCall();
    const { gateway, room, told, transports, publication, picture, states } = call;
    gateway.losesItsPlace();
    await until(() => room.connection === "waiting");
    expect(transports.map(({ closed }) => closed)).toEqual([true, true]);
    expect(told).toContain(`trackLost ${picture}`);
    expect(publication.producerId).toBeUndefined();
    const before = transportsAsked(call);
    await vi.advanceTimersByTimeAsync(20_000);
    expect(transportsAsked(call)).toBe(before);
    expect(told).toContain(`trackRemoved ${picture}`);
    gateway.moves();
    await carriedAgain(call, gateway.produces("ada", "video"));
    expect(states).toEqual(["waiting", "reconnecting", "connected"]);
    expect(told.filter((line) => line.startsWith("participantLeft") || line.startsWith("error"))).toEqual([]);
  });

  test("goes on when somebody creates it again", async () => {
    const call = await inCall();
    call.gateway.losesItsPlace();
    await until(() => call.room.connection === "waiting");
    call.gateway.isCreatedAgain();
    await carriedAgain(call, call.gateway.produces("ada", "video"));
  });

  test("is noticed after a gap in the events too, and so is its end", async () => {
    const call = await inCall();
    const { gateway, room } = call;
    gateway.losesItsPlace(true);
    gateway.say("gap", {}, gateway.events.length);
    await until(() => room.connection === "waiting");
    gateway.moves(null, true);
    gateway.say("gap", {}, gateway.events.length);
    await carriedAgain(call, gateway.produces("ada", "video"));
  });

  test("carries what was published meanwhile", async () => {
    const { gateway, room } = await inCall();
    gateway.losesItsPlace();
    await until(() => room.connection === "waiting");
    const publishing = room.publish(fakeTrack("audio"));
    gateway.moves();
    expect(gateway.producers.has((await publishing).producerId ?? "")).toBe(true);
  });

  test("is not what a lost stream of events is taken for", async () => {
    const { gateway, room, states } = await inCall();
    gateway.losesItsPlace();
    await until(() => room.connection === "waiting");
    gateway.refuse(/events/, "network");
    gateway.hangUp();
    await until(() => states.length === 3);
    expect(states).toEqual(["waiting", "reconnecting", "waiting"]);
  });
});

test("the page tells who waits for a place something else than who reconnects, and nothing when all is well", () => {
  expect(wordsForConnection("waiting")).toMatch(/No media server has room/);
  expect(wordsForConnection("reconnecting")).toBe("Reconnecting…");
  expect([wordsForConnection("connected"), wordsForConnection("closed")]).toEqual([null, null]);
});

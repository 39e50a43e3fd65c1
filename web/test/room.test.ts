import { afterEach, describe, expect, test } from "vitest";
import { join, type Problem } from "../src/client";
import { FakeGateway } from "./fake-gateway";
import { fakeDevice, fakeRoom, fakeTrack, until, type FakeRoom } from "./fake-room";
import type { types } from "mediasoup-client";

const open: FakeRoom[] = [];
async function enter(...given: Parameters<typeof fakeRoom>): Promise<FakeRoom> {
  const made = await fakeRoom(...given);
  open.push(made);
  return made;
}
afterEach(() => open.splice(0).forEach(({ room }) => room.abandon()));

function paths(gateway: FakeGateway, pattern: RegExp): string[] {
  return gateway.asked.map(({ method, path }) => `${method} ${path}`).filter((name) => pattern.test(name));
}

describe("joining", () => {
  test("a meeting that has to be started is created before it is joined", async () => {
    const { gateway } = await enter(new FakeGateway(), { create: true });
    expect(gateway.asked.slice(0, 2).map(({ path }) => path)).toEqual(["/v1/meetings", "/v1/meetings/m1/join"]);
  });

  test("a meeting that runs with other settings is joined all the same", async () => {
    const gateway = new FakeGateway();
    gateway.refuse(/POST \/v1\/meetings$/, { status: 409, code: "meeting_exists" });
    const { room } = await enter(gateway, { create: true });
    expect(room.participantId).toBe("me");
  });

  test("everything after the join is asked with the participant token", async () => {
    const { gateway } = await enter();
    const [first, ...others] = gateway.asked;
    expect(first?.token).toBe("access");
    expect(new Set(others.map(({ token }) => token))).toEqual(new Set(["seat-of-me"]));
  });

  test("a page loaded anew takes its seat again, or another one if that seat is over", async () => {
    const gateway = new FakeGateway();
    gateway.refuse(/join/, { status: 409, code: "stale_instance" });
    await enter(gateway, { participantToken: "seat-of-before" });
    expect(gateway.asked.slice(0, 2).map(({ token }) => token)).toEqual(["seat-of-before", "access"]);
  });

  test("a full meeting is a problem with its code", async () => {
    const gateway = new FakeGateway();
    gateway.refuse(/join/, { status: 409, code: "meeting_full" });
    const joining = join("http://gateway.test", "access", "m1", { device: fakeDevice(), fetch: gateway.fetch });
    await expect(joining).rejects.toMatchObject({ code: "meeting_full", status: 409 } satisfies Partial<Problem>);
  });
});

describe("requests", () => {
  test("a lost answer is asked for again with the same key, and the effect happens once", async () => {
    const gateway = new FakeGateway();
    const { room } = await enter(gateway);
    gateway.refuse(/\/producers$/, "lost answer");
    await room.publish(fakeTrack());
    const keys = gateway.asked.filter(({ path }) => path.endsWith("/producers")).map(({ key }) => key);
    expect(keys).toHaveLength(2);
    expect(new Set(keys).size).toBe(1);
    expect(gateway.producers.size).toBe(1);
  });

  test.each(["network" as const, "half an answer" as const, { status: 503, code: "busy" }, { status: 504, code: "deadline_exceeded" }])("%j is repeated", async (refusal) => {
    const gateway = new FakeGateway();
    gateway.refuse(/join/, refusal);
    await enter(gateway);
    expect(paths(gateway, /join/)).toHaveLength(2);
  });
});

describe("receiving", () => {
  test("producers that were there before are received, each resumed after it was consumed", async () => {
    const gateway = new FakeGateway();
    gateway.joins("ada");
    const producers = [gateway.produces("ada", "audio"), gateway.produces("ada", "video")];
    const { told } = await enter(gateway);
    await until(() => [...gateway.consumers.values()].filter(({ resumed }) => resumed).length === 2);
    expect(told.filter((line) => line.startsWith("trackAdded")).sort()).toEqual(producers.map((id) => `trackAdded ${id}`));
  });

  test("a producer that closes takes its track along", async () => {
    const { gateway, told } = await enter();
    gateway.joins("ada");
    const producer = gateway.produces("ada");
    await until(() => told.includes(`trackAdded ${producer}`));
    gateway.closes(producer);
    await until(() => told.includes(`trackRemoved ${producer}`));
    expect(told.at(-2)).toBe(`producerClosed ${producer}`);
  });

  test("a producer that cannot be received is an error and no obstacle to the others", async () => {
    const { gateway, told } = await enter();
    gateway.refuse(/consumers$/, { status: 422, code: "unsupported_codec" });
    gateway.joins("ada");
    gateway.produces("ada", "video");
    const audible = gateway.produces("ada", "audio");
    await until(() => told.includes(`trackAdded ${audible}`));
    expect(told).toContain("error unsupported_codec");
  });

  test("without autoSubscribe nothing is received until it is asked for", async () => {
    const { gateway, room, told } = await enter(new FakeGateway(), { autoSubscribe: false });
    gateway.joins("ada");
    const producer = gateway.produces("ada");
    await until(() => told.includes(`producerOpened ${producer}`));
    expect(gateway.consumers.size).toBe(0);
    room.subscribe(producer);
    await until(() => told.includes(`trackAdded ${producer}`));
    room.unsubscribe(producer);
    await until(() => gateway.consumers.size === 0);
  });
});

describe("sending", () => {
  test("the own ProducerCreated may be here before the answer and opens nothing", async () => {
    const { room, told } = await enter();
    const publication = await room.publish(fakeTrack());
    await until(() => room.producers.length === 1);
    expect(publication.producerId).toBe(room.producers[0]?.id);
    expect(told).toEqual([]);
  });

  test("pauses are told in order, the last one wins", async () => {
    const { gateway, room } = await enter();
    const publication = await room.publish(fakeTrack());
    room.pause(publication);
    expect(publication.track.enabled).toBe(false);
    room.resume(publication);
    room.pause(publication);
    await until(() => gateway.producers.get(publication.producerId ?? "")?.paused === true);
  });

  test("a refused track is its own problem", async () => {
    const { gateway, room } = await enter();
    gateway.refuse(/producers$/, { status: 409, code: "producer_limit" });
    await expect(room.publish(fakeTrack())).rejects.toMatchObject({ code: "producer_limit" });
    await room.publish(fakeTrack());
    expect(room.connection).toBe("connected");
  });

  test("what waits to be sent is told when the room is over", async () => {
    const { gateway, room } = await enter();
    gateway.refuse(/producers$/, "network");
    const publishing = room.publish(fakeTrack());
    await until(() => paths(gateway, /producers$/).length === 1);
    room.abandon();
    await expect(publishing).rejects.toMatchObject({ code: "room_over" });
    await expect(room.publish(fakeTrack())).rejects.toMatchObject({ code: "room_over" });
  });

  test("unpublish closes the producer, also one that is being made anew", async () => {
    const { gateway, room, transports } = await enter();
    const publication = await room.publish(fakeTrack());
    gateway.refuse(/producers$/, "network");
    room.recreateTransport("send");
    await until(() => paths(gateway, /producers$/).length === 2);
    const made: types.Producer[] = [];
    transports.at(-1)?.observer.on("newproducer", (producer) => made.push(producer));
    room.unpublish(publication);
    await until(() => made.length === 1 && gateway.producers.size === 0);
    expect(made[0]?.closed).toBe(true);
  });

  test("unpublish closes the producer", async () => {
    const { gateway, room } = await enter();
    const publication = await room.publish(fakeTrack());
    room.unpublish(publication);
    await until(() => gateway.producers.size === 0);
  });
});

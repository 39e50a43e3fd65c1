import { afterEach, beforeEach, describe, expect, test, vi } from "vitest";
import { Successions } from "../src/client/successions";
import { Wishes } from "../src/client/wishes";
import { FakeGateway } from "./fake-gateway";
import { fakeRoom, fakeTrack, until, type FakeRoom } from "./fake-room";
import type { ProducerView } from "../src/client";
import type { types } from "mediasoup-client";

const open: FakeRoom[] = [];
async function enter(...given: Parameters<typeof fakeRoom>): Promise<FakeRoom> {
  const made = await fakeRoom(...given);
  open.push(made);
  return made;
}
afterEach(() => open.splice(0).forEach(({ room }) => room.abandon()));
beforeEach(() => void vi.useFakeTimers({ toFake: ["setTimeout", "clearTimeout", "Date"] })); // `until` lets their time pass
afterEach(() => void vi.useRealTimers());

const KEPT = "2026-01-01T00:00:20Z";

/** A room that receives a picture of ada and sends one itself. */
async function inCall(): Promise<FakeRoom & { producer: string }> {
  const made = await enter();
  made.gateway.joins("ada");
  const producer = made.gateway.produces("ada", "video");
  await made.room.publish(fakeTrack("video"));
  await until(() => made.told.includes(`trackAdded ${producer}`));
  return { ...made, producer };
}

const sending = (transports: types.Transport[]): types.Transport[] => transports.filter(({ direction }) => direction === "send");
const receiving = (transports: types.Transport[]): types.Transport[] => transports.filter(({ direction }) => direction === "recv");

function asked(gateway: FakeGateway, pattern: RegExp): number {
  return gateway.asked.filter(({ method, path }) => pattern.test(`${method} ${path}`)).length;
}

describe("a meeting that moved because its server died", () => {
  test("has its transports made anew at once, with what was sent on them", async () => {
    const { gateway, room, transports } = await inCall();
    const states: string[] = [];
    room.on("connection", (state) => states.push(state));
    gateway.moves();
    await until(() => transports.length === 4 && room.producers.length === 1);
    expect(sending(transports).map(({ closed }) => closed)).toEqual([true, false]);
    expect(room.producers[0]?.participantId).toBe("me");
    await until(() => room.connection === "connected");
    expect(states).toEqual(["reconnecting", "connected"]);
  });

  test("keeps a lost picture until its successor's first frame, and changes them over in one turn", async () => {
    const { gateway, told, transports, media, producer } = await inCall();
    media.flows = false;
    gateway.moves();
    const successor = gateway.produces("ada", "video");
    await until(() => [...gateway.consumers.values()].some(({ resumed }) => resumed));
    expect(told).not.toContain(`trackRemoved ${producer}`);
    expect(told).toContain(`trackLost ${producer}`);
    expect(receiving(transports).map(({ closed }) => closed)).toEqual([true, false]);
    media.flows = true;
    await until(() => told.includes(`trackAdded ${successor}`));
    expect(told.slice(-2)).toEqual([`trackRemoved ${producer}`, `trackAdded ${successor}`]);
  });

  test("says that a picture is lost while it can still be kept", async () => {
    const { gateway, room, producer } = await inCall();
    const states: string[] = [];
    room.on("trackLost", ({ track }) => states.push(track.readyState));
    gateway.moves();
    await until(() => states.length > 0);
    expect(states).toEqual(["live"]);
    expect(producer).toBeDefined();
  });

  test("gives up a picture whose successor does not come", async () => {
    const { gateway, told, producer } = await inCall();
    gateway.moves();
    await until(() => told.includes(`producerClosed ${producer}`));
    await vi.advanceTimersByTimeAsync(9_500);
    expect(told).not.toContain(`trackRemoved ${producer}`);
    await vi.advanceTimersByTimeAsync(1_000);
    expect(told).toContain(`trackRemoved ${producer}`);
  });

  test("gives up the picture of whoever leaves meanwhile at once", async () => {
    const { gateway, told, producer } = await inCall();
    gateway.moves();
    gateway.happen("ParticipantLeft", { participantId: "ada", reason: "left" });
    await until(() => told.includes("participantLeft ada"));
    expect(told).toContain(`trackRemoved ${producer}`);
  });

  test("nobody leaves and nobody joins", async () => {
    const { gateway, told } = await inCall();
    const before = told.filter((line) => line.startsWith("participant")).length;
    gateway.moves();
    const successor = gateway.produces("ada", "video");
    await until(() => told.includes(`trackAdded ${successor}`));
    expect(told.filter((line) => line.startsWith("participant"))).toHaveLength(before);
  });

  test("its new server is asked again every 100 to 300 ms while it is not there yet, whatever it says", async () => {
    const { gateway, transports } = await inCall();
    for (let refused = 0; refused < 6; refused += 1) gateway.refuse(/transports$/, { status: 503, code: "media_server_unavailable", retryAfter: 30 });
    const before = Date.now();
    gateway.moves();
    await until(() => transports.length === 4);
    expect(Date.now() - before).toBeLessThan(2_500);
    expect(asked(gateway, /transports$/)).toBe(2 + 6 + 2);
  });

  test("what its dead server never answered holds nothing up", async () => {
    const { gateway, room, told } = await inCall();
    gateway.refuse(/consumers$/, "silence");
    gateway.refuse(/producers$/, "silence");
    gateway.produces("ada", "audio");
    const publishing = room.publish(fakeTrack("audio"));
    await until(() => asked(gateway, /consumers$/) === 2 && asked(gateway, /producers$/) === 2);
    const before = Date.now();
    gateway.moves();
    const successor = gateway.produces("ada", "video");
    await until(() => told.includes(`trackAdded ${successor}`));
    await publishing;
    expect(Date.now() - before).toBeLessThan(1_500);
  });

  test("is noticed after a gap in the events too", async () => {
    const { gateway, told, transports } = await inCall();
    gateway.moves(null, true);
    gateway.say("gap", {}, gateway.events.length);
    const successor = gateway.produces("ada", "video");
    await until(() => told.includes(`trackAdded ${successor}`));
    await until(() => receiving(transports)[0]?.closed === true);
    expect(transports).toHaveLength(4);
  });

  test("a move that is told twice moves nothing twice", async () => {
    const { gateway, transports } = await inCall();
    gateway.moves();
    gateway.say("MeetingMoved", { mediaServerId: "server-2", epoch: 2 }, gateway.events.length + 1);
    gateway.events.push({ id: gateway.events.length + 1, type: "MeetingMoved", body: { epoch: 2 } });
    const last = gateway.produces("ada", "video");
    await until(() => open.at(-1)?.told.includes(`trackAdded ${last}`) ?? false);
    expect(transports).toHaveLength(4);
  });
});

describe("a meeting that moved while its old server goes on", () => {
  test("has its old transports closed only when the new ones have taken over", async () => {
    const { gateway, room, told, transports, media, producer } = await inCall();
    const states: string[] = [];
    room.on("connection", (state) => states.push(state));
    media.flows = false;
    gateway.moves(KEPT);
    const successor = gateway.produces("ada", "video");
    await until(() => [...gateway.consumers.values()].some(({ resumed }) => resumed) && gateway.producers.size === 2);
    expect(transports.map(({ closed }) => closed)).toEqual([false, false, false, false]);
    expect(told).not.toContain(`trackRemoved ${producer}`);
    media.flows = true;
    await until(() => told.includes(`trackAdded ${successor}`));
    await until(() => receiving(transports)[0]?.closed === true);
    await vi.advanceTimersByTimeAsync(5_000);
    expect(transports.map(({ closed }) => closed)).toEqual([true, true, false, false]);
    expect(states).toEqual([]);
    expect(told.filter((line) => line.startsWith("trackLost"))).toEqual([]);
  });

  test("is left in order also by who hears of it from a refused order first", async () => {
    const { gateway, room, told, transports, media } = await inCall();
    media.flows = false;
    gateway.refuse(/producers$/, { status: 409, code: "stale_epoch" });
    const publishing = room.publish(fakeTrack("audio"));
    await until(() => transports.length === 3);
    gateway.moves(KEPT);
    const successor = gateway.produces("ada", "video");
    await publishing;
    await until(() => [...gateway.consumers.values()].some(({ resumed }) => resumed));
    expect(transports.slice(0, 2).map(({ closed }) => closed)).toEqual([false, false]);
    media.flows = true;
    await until(() => told.includes(`trackAdded ${successor}`));
  });

  test("what is withdrawn meanwhile is sent nowhere any more", async () => {
    const { gateway, room, transports } = await enter();
    const sent: { closed: boolean }[] = [];
    const publication = await room.publish(fakeTrack());
    for (const transport of transports) transport.observer.on("newproducer", (producer) => sent.push(producer));
    const old = transports.find(({ direction }) => direction === "send");
    gateway.moves(KEPT);
    await until(() => publication.producerId !== undefined && transports.length === 4);
    room.unpublish(publication);
    await until(() => gateway.producers.size === 0);
    expect(old?.closed).toBe(false);
    expect(sent.every(({ closed }) => closed)).toBe(true);
  });
});

describe("after a move", () => {
  test.each([null, KEPT])("what was paused is paused, what was replaced stays replaced (kept until %s)", async (keepUntil) => {
    const { gateway, room } = await enter();
    const [sound, picture] = [await room.publish(fakeTrack("audio")), await room.publish(fakeTrack("video"))];
    const [before, another] = [picture.producerId, fakeTrack("video")];
    room.pause(sound);
    await room.replaceTrack(picture, another);
    await until(() => room.producers.some(({ paused }) => paused));
    gateway.moves(keepUntil);
    await until(() => sound.producerId !== undefined && picture.producerId !== undefined && picture.producerId !== before);
    expect(gateway.producers.get(sound.producerId ?? "")?.paused).toBe(true);
    expect(gateway.producers.get(picture.producerId ?? "")?.paused).toBe(false);
    expect(sound.track.enabled).toBe(false);
    expect(picture.track).toBe(another);
  });

  test("what was unsubscribed stays so", async () => {
    const { gateway, room, told, producer } = await inCall();
    const sound = gateway.produces("ada", "audio");
    await until(() => told.includes(`trackAdded ${sound}`));
    room.unsubscribe(producer);
    gateway.moves();
    const [picture, other] = [gateway.produces("ada", "video"), gateway.produces("ada", "audio")];
    await until(() => told.includes(`trackAdded ${other}`));
    expect([...gateway.consumers.values()].map(({ producerId }) => producerId)).toEqual([other]);
    room.subscribe(picture);
    await until(() => told.includes(`trackAdded ${picture}`));
  });

  test("what was subscribed without autoSubscribe is so again", async () => {
    const { gateway, room, told } = await enter(new FakeGateway(), { autoSubscribe: false });
    gateway.joins("ada");
    const [wanted, other] = [gateway.produces("ada", "audio"), gateway.produces("ada", "video")];
    await until(() => told.includes(`producerOpened ${other}`));
    room.subscribe(wanted);
    await until(() => told.includes(`trackAdded ${wanted}`));
    gateway.moves();
    gateway.produces("ada", "video");
    const successor = gateway.produces("ada", "audio");
    await until(() => told.includes(`trackAdded ${successor}`));
    expect(gateway.consumers.size).toBe(1);
  });
});

test("of several gateways the next is asked when one does not answer", async () => {
  vi.useRealTimers();
  const gateway = new FakeGateway();
  const asked: string[] = [];
  const fetch = (input: RequestInfo | URL, init?: RequestInit): Promise<Response> => {
    asked.push(new URL(String(input)).hostname);
    return asked.at(-1) === "one.test" ? Promise.reject(new TypeError("refused")) : gateway.fetch(input, init);
  };
  const { room } = await enter(gateway, { fetch, urls: ["http://one.test", "http://two.test/"] });
  await room.publish(fakeTrack());
  expect(asked[0]).toBe("one.test");
  expect(new Set(asked.slice(1))).toEqual(new Set(["two.test"]));
});

describe("successions", () => {
  const of = (id: string, appData = {}, participantId = "ada"): ProducerView => ({ id, participantId, kind: "video", paused: false, appData });

  test("what is alike takes its like's place, one each", () => {
    const passing = new Successions<string>(() => undefined);
    passing.await(of("a", { source: "camera" }), "camera");
    passing.await(of("b", { source: "screen" }), "screen");
    expect(passing.succeed(of("x", { source: "screen" }))?.thing).toBe("screen");
    expect(passing.succeed(of("y", { source: "other" }))?.thing).toBe("camera");
    expect(passing.succeed(of("z"))).toBeUndefined();
    expect(passing.succeed(of("c", {}, "bob"))).toBeUndefined();
    passing.end(() => true);
  });

  test("a successor that is lost itself gives its place back", () => {
    const passing = new Successions<string>(() => undefined);
    passing.await(of("a"), "picture");
    passing.succeed(of("x"));
    expect(passing.succeed(of("y"))).toBeUndefined();
    passing.unclaim(of("x"));
    expect(passing.succeed(of("y"))?.thing).toBe("picture");
    passing.end(() => true);
  });

  test("each thing ends once, and whoever waits for all is told", async () => {
    const ended: string[] = [];
    const passing = new Successions<string>((thing) => ended.push(thing));
    passing.await(of("a"), "picture");
    const none = passing.none();
    const found = passing.succeed(of("x"));
    if (found) passing.finish(found);
    if (found) passing.finish(found);
    await none;
    expect(ended).toEqual(["picture"]);
  });

  test("wishes go over to what takes a producer's place, and not to what is new", () => {
    const wishes = new Wishes(true);
    wishes.say("a", false);
    wishes.closed(of("a"), true);
    expect(wishes.wants(of("b"))).toBe(false);
    wishes.closed(of("b"), false);
    expect(wishes.wants(of("c"))).toBe(true);
  });
});

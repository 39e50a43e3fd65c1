import { afterEach, expect, test } from "vitest";
import { fakeRoom, fakeTrack, until, type FakeRoom } from "./fake-room";
import type { FakeGateway } from "./fake-gateway";
import type { FakeHandler, types } from "mediasoup-client";

const open: FakeRoom[] = [];
async function enter(): Promise<FakeRoom> {
  const made = await fakeRoom();
  open.push(made);
  return made;
}
afterEach(() => open.splice(0).forEach(({ room }) => room.abandon()));

function transportOf(gateway: FakeGateway, direction: string): string {
  return [...gateway.transports].find(([, of]) => of.direction === direction)?.[0] ?? "";
}

test("a send transport that the server closed is made anew with what was on it, paused as it was", async () => {
  const { gateway, room } = await enter();
  const [sound, picture] = [await room.publish(fakeTrack("audio")), await room.publish(fakeTrack("video"))];
  room.pause(sound);
  await until(() => room.producers.some(({ paused }) => paused));
  const before = [sound.producerId, picture.producerId];
  const transportId = transportOf(gateway, "send");
  gateway.happen("TransportClosed", { participantId: "me", transportId, direction: "send", reason: "consent_lost" });
  await until(() => sound.producerId !== undefined && picture.producerId !== undefined && !before.includes(picture.producerId));
  expect(gateway.producers.get(sound.producerId ?? "")?.paused).toBe(true);
  expect(gateway.producers.get(picture.producerId ?? "")?.paused).toBe(false);
  await until(() => room.connection === "connected");
});

test("TransportClosed of a transport that is no longer used changes nothing", async () => {
  const { gateway, room } = await enter();
  await room.publish(fakeTrack());
  gateway.happen("TransportClosed", { participantId: "me", transportId: "transport-0", direction: "send", reason: "recreated" });
  const last = gateway.produces("ada");
  await until(() => room.producers.some(({ id }) => id === last));
  expect(gateway.asked.filter(({ path, body }) => path.endsWith("/transports") && body["direction"] === "send")).toHaveLength(1);
});

test("a connection that failed is made anew and said to be unreachable", async () => {
  const { gateway, told, transports } = await enter();
  gateway.joins("ada");
  const producer = gateway.produces("ada");
  await until(() => told.includes(`trackAdded ${producer}`));
  (transports.at(-1)?.handler as FakeHandler).setConnectionState("failed");
  await until(() => told.filter((line) => line === `trackAdded ${producer}`).length === 2);
  expect(told).toContain("error media_unreachable");
  expect(told).toContain(`trackRemoved ${producer}`);
});

test("a stale epoch at producing has the transport made anew", async () => {
  const { gateway, room } = await enter();
  gateway.refuse(/producers$/, { status: 409, code: "stale_epoch" });
  const publication = await room.publish(fakeTrack());
  expect(gateway.producers.has(publication.producerId ?? "")).toBe(true);
});

test("the stream of events is resumed after the last event seen, and duplicates are dropped", async () => {
  const { gateway, told } = await enter();
  gateway.joins("ada");
  await until(() => told.length === 1);
  gateway.hangUp();
  gateway.joins("bob");
  gateway.say("ParticipantLeft", { participantId: "ada", reason: "left" }, 1);
  await until(() => told.includes("participantJoined bob"));
  expect(told).toEqual(["participantJoined ada", "participantJoined bob"]);
  expect(gateway.asked.at(-1)?.lastEventId).toBe(2);
});

test("after a gap the meeting is fetched, and what it does not list is closed", async () => {
  const { gateway, told } = await enter();
  gateway.joins("ada");
  gateway.joins("bob");
  const producer = gateway.produces("ada");
  await until(() => told.includes(`trackAdded ${producer}`));
  gateway.producers.clear();
  gateway.participants.delete("ada");
  gateway.happen("ProducerClosed", { producerId: producer, participantId: "ada", reason: "left" }, true);
  gateway.happen("ParticipantLeft", { participantId: "ada", reason: "left" }, true);
  gateway.say("gap", {}, gateway.events.length);
  gateway.joins("eve");
  await until(() => told.includes("participantJoined eve"));
  expect(told).toContain("participantLeft ada");
  expect(told).toContain(`trackRemoved ${producer}`);
  expect(told.filter((line) => line === "participantJoined eve")).toHaveLength(1);
});

test("a meeting that cannot be fetched after a gap is fetched again", async () => {
  const { gateway, told } = await enter();
  gateway.refuse(/^GET \/v1\/meetings\/m1$/, { status: 500, code: "internal" });
  gateway.participants.set("ada", "ada");
  gateway.say("gap", {}, gateway.events.length);
  await until(() => told.includes("participantJoined ada"));
});

test("a connection that fails at once, again and again, is made anew with growing pauses", async () => {
  const { gateway, room, transports, media } = await enter();
  await room.publish(fakeTrack());
  media.connects = false;
  const fail = (transport?: types.Transport): void => (transport?.handler as FakeHandler | undefined)?.setConnectionState("failed");
  const sent = (): number => gateway.asked.filter(({ path, body }) => path.endsWith("/transports") && body["direction"] === "send").length;
  const before = sent();
  const since = Date.now();
  fail(transports.at(-1));
  await until(() => {
    fail(transports.filter(({ direction, closed }) => direction === "send" && !closed).at(-1));
    return sent() >= before + 4;
  });
  expect(Date.now() - since).toBeGreaterThan(400);
});

test("after a gap an own transport that is not listed is made anew", async () => {
  const { gateway, room } = await enter();
  const publication = await room.publish(fakeTrack());
  const before = publication.producerId;
  gateway.transports.delete(transportOf(gateway, "send"));
  gateway.say("gap", {}, gateway.events.length);
  await until(() => publication.producerId !== undefined && publication.producerId !== before);
});

test.each([
  ["ParticipantReplaced", { participantId: "me" }, "replaced"],
  ["ParticipantLeft", { participantId: "me", reason: "kicked" }, "removed kicked"],
  ["MeetingEnded", {}, "ended"],
])("%s is the last that a room tells", async (type, body, last) => {
  const { gateway, room, told } = await enter();
  gateway.happen(type, body);
  gateway.joins("ada");
  await until(() => room.connection === "closed");
  expect(told.at(-1)).toBe(last);
});

test("a stream that is refused because the seat is over ends the room", async () => {
  const { gateway, told } = await enter();
  gateway.refuse(/events/, { status: 409, code: "stale_instance" });
  gateway.hangUp();
  await until(() => told.includes("removed stale_instance"));
});

/** A room on the fake gateway and mediasoup-client's own fake handler, and the ways to watch it. */

import { FakeMediaStreamTrack } from "fake-mediastreamtrack";
import { Device, FakeHandler, type types } from "mediasoup-client";
import * as fakeParameters from "mediasoup-client/fakeParameters";
import { vi } from "vitest";
import { join, type JoinOptions, type Room, type RoomEvents } from "../src/client";
import { FakeGateway } from "./fake-gateway";

class Media {
  connects = true;
  #flows = true;
  #waiting: FakeMediaStreamTrack[] = [];

  set flows(flows: boolean) {
    this.#flows = flows;
    if (flows) this.#waiting.splice(0).forEach((track) => track.remoteUnmute());
  }

  arrivesAt(track: FakeMediaStreamTrack): void {
    if (this.#flows) return;
    track.remoteMute();
    this.#waiting.push(track);
  }
}

export interface FakeRoom {
  gateway: FakeGateway;
  room: Room;
  /** What the room told, in order, as "name detail". */
  told: string[];
  /** The browser's transports, the newest last. */
  transports: types.Transport[];
  /** Whether transports connect and frames arrive at consumers; so it is until a test says otherwise. */
  media: Media;
}

const NAMES: (keyof RoomEvents)[] = [
  "participantJoined", "participantLeft", "producerOpened", "producerClosed", "producerPaused", "producerResumed",
  "trackAdded", "trackRemoved", "trackLost", "publicationClosed", "meetingMoved", "error", "ended", "replaced", "removed",
];

export function fakeDevice(): types.Device {
  return new Device({ handlerFactory: FakeHandler.createFactory(fakeParameters) });
}

export async function fakeRoom(gateway = new FakeGateway(), { urls, ...options }: JoinOptions & { urls?: string[] } = {}): Promise<FakeRoom> {
  const device = fakeDevice();
  const transports: types.Transport[] = [];
  const media = new Media();
  device.observer.on("newtransport", (transport) => {
    transports.push(transport);
    transport.observer.on("newconsumer", ({ track }) => media.arrivesAt(track as unknown as FakeMediaStreamTrack));
    const connected = (): void => void (media.connects && (transport.handler as FakeHandler).setConnectionState("connected"));
    transport.observer.on("newproducer", connected);
    transport.observer.on("newconsumer", connected);
  });
  const room = await join(urls ?? "http://gateway.test", "access", "m1", { participantId: "me", device, fetch: gateway.fetch, patience: 2_000, ...options });
  const told: string[] = [];
  for (const name of NAMES) room.on(name, (value) => told.push(`${name} ${detailOf(value)}`.trim()));
  await until(() => room.connection === "connected");
  return { gateway, room, told, transports, media };
}

function detailOf(value: unknown): string {
  const { id, producer, code, reason } = (value ?? {}) as Record<string, unknown>;
  return String(id ?? (producer as { id: string } | undefined)?.id ?? code ?? reason ?? "");
}

export function fakeTrack(kind: "audio" | "video" = "audio"): MediaStreamTrack {
  return new FakeMediaStreamTrack({ kind }) as unknown as MediaStreamTrack;
}

/** Wait until `condition` holds; fails after three seconds. */
export function until(condition: () => boolean): Promise<void> {
  return vi.waitFor(() => { if (!condition()) throw new Error(`not so: ${String(condition)}`); }, { timeout: 3_000, interval: 5 });
}

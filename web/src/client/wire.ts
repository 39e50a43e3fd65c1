/** What travels between this client and the gateway: the JSON shapes of the HTTP API and of the events, nothing else. */

import type { types } from "mediasoup-client";

export type Kind = types.MediaKind;
export type Direction = "send" | "recv";
export type AppData = Record<string, unknown>;

export interface Capacity {
  participants: number;
  producers: number;
}

export interface ParticipantView {
  participantId: string;
  displayName?: string | null;
}

export interface ProducerView {
  id: string;
  participantId: string;
  kind: Kind;
  paused: boolean;
  appData: AppData;
}

/** Who is there and what is sent, as of the event `lastEventId`. */
export interface Snapshot {
  participants: ParticipantView[];
  producers: ProducerView[];
  lastEventId: number;
}

export interface Details extends Snapshot {
  state: "placed" | "unplaced" | "ended";
  epoch: number;
  ownTransports: { id: string; direction: Direction }[];
}

export interface Joined extends Snapshot {
  participantToken: string;
  rtpCapabilities: types.RtpCapabilities;
  routerId: string;
  epoch: number;
}

export interface TransportRecreated {
  id: string;
  iceParameters: types.IceParameters;
  iceCandidates: types.IceCandidate[];
  dtlsParameters: types.DtlsParameters;
  iceServers: RTCIceServer[];
}

export interface ConsumerCreated {
  id: string;
  producerId: string;
  kind: Kind;
  rtpParameters: types.RtpParameters;
  producerPaused: boolean;
}

interface Of {
  participantId: string;
}

interface OfProducer extends Of {
  producerId: string;
}

/** The events of a meeting, by name. */
export interface EventBodies {
  /** Told of a meeting that runs: it had no place, and somebody created it again. */
  MeetingCreated: { epoch: number };
  ParticipantJoined: ParticipantView;
  ParticipantReplaced: ParticipantView;
  ParticipantLeft: Of & { reason: "left" | "kicked" | "gone" };
  ProducerCreated: OfProducer & { kind: Kind; paused: boolean; appData: AppData };
  ProducerPaused: OfProducer;
  ProducerResumed: OfProducer;
  ProducerClosed: OfProducer & { reason: string };
  ConsumerClosed: OfProducer & { consumerId: string; reason: string };
  TransportClosed: Of & { transportId: string; direction: Direction; reason: string };
  /** With `keepUntil` the old server goes on forwarding until then, and takes no orders. */
  MeetingMoved: { mediaServerId: string; epoch: number; keepUntil?: string | null };
  /** No media server carries the meeting; `MeetingMoved` follows when one does. */
  MeetingUnplaced: { epoch: number };
  MeetingEnded: object;
  /** The log went back (a restore): everything known is in doubt. */
  LogReset: object;
  /** Events up to this id are missing here: fetch the meeting. */
  gap: object;
}

export type EventType = keyof EventBodies;

/** An event with its place in the meeting's log; `id` is null for what has no place in it. */
export type MeetingEvent = { [Type in EventType]: { type: Type; id: number | null; body: EventBodies[Type] } }[EventType];

/** A participant's seat in a meeting: the ids, the token that proves it, and the requests made in its name. */

import type { Api, Persistence } from "./http";
import { asProblem } from "./problem";
import type { Capacity, ConsumerCreated, Details, Direction, Joined, ProducerView, TransportRecreated } from "./wire";
import type { types } from "mediasoup-client";

export interface Seating {
  meeting: string;
  participantId: string;
  /** New for each page load or process; it stays as long as the seat is held. */
  instanceId: string;
  displayName?: string;
}

export interface ProducerWanted extends Pick<ProducerView, "kind" | "paused" | "appData"> {
  transportId: string;
  rtpParameters: types.RtpParameters;
}

/** Milliseconds that a transport is asked for before the seat itself is in doubt: only joining again moves a meeting. */
const RECREATE_MS = 3_000;

/** Make sure that the meeting runs; that it does so with other settings is as good. */
export async function createMeeting(api: Api, token: string, meetingId: string, capacity?: Capacity): Promise<void> {
  try {
    await api.post("/v1/meetings", token, capacity ? { meetingId, capacity } : { meetingId });
  } catch (error) {
    if (asProblem(error).code !== "meeting_exists") throw error;
  }
}

export class Seat {
  token = "";
  #renewing: Promise<Joined> | undefined;

  constructor(
    private readonly api: Api,
    readonly of: Seating,
  ) {}

  /** Take the seat with an access token, or take it again with a participant token of it. */
  async join(token: string): Promise<Joined> {
    const { participantId, instanceId, displayName } = this.of;
    const named = displayName ? { participantId, instanceId, displayName } : { participantId, instanceId };
    const joined = await this.api.post<Joined>(`${this.#meeting}/join`, token, named);
    this.token = joined.participantToken;
    return joined;
  }

  /** Join again as the same instance: keeps the seat, renews the token, and has a meeting whose server died placed anew. */
  renew(): Promise<Joined> {
    this.#renewing ??= this.join(this.token).finally(() => (this.#renewing = undefined));
    return this.#renewing;
  }

  details(signal: AbortSignal): Promise<Details> {
    return this.api.get(this.#meeting, this.token, signal);
  }

  events(lastEventId: number, signal: AbortSignal): Promise<ReadableStream<Uint8Array>> {
    return this.api.events(`${this.#meeting}/events`, this.token, lastEventId, signal);
  }

  leave(): Promise<void> {
    return this.api.post(`${this.#meeting}/leave`, this.token);
  }

  /** Leave while the page goes away. */
  abandon(): void {
    this.api.farewell(`${this.#meeting}/leave`, this.token);
  }

  recreateTransport(direction: Direction, signal: AbortSignal): Promise<TransportRecreated> {
    return this.#post("/transports", { direction }, signal, { patience: RECREATE_MS, soon: true });
  }

  connectTransport(transport: string, dtlsParameters: types.DtlsParameters, signal?: AbortSignal): Promise<void> {
    return this.#post(`/transports/${transport}/connect`, { dtlsParameters }, signal);
  }

  createProducer(producer: ProducerWanted, signal?: AbortSignal): Promise<{ id: string }> {
    return this.#post("/producers", producer, signal);
  }

  pauseProducer(producer: string, paused: boolean, signal?: AbortSignal): Promise<void> {
    return this.#post(`/producers/${producer}/${paused ? "pause" : "resume"}`, {}, signal);
  }

  closeProducer(producer: string, signal?: AbortSignal): Promise<void> {
    return this.api.delete(`${this.#own}/producers/${producer}`, this.token, signal);
  }

  createConsumer(producerId: string, rtpCapabilities: types.RtpCapabilities, signal?: AbortSignal): Promise<ConsumerCreated> {
    return this.#post("/consumers", { producerId, rtpCapabilities, paused: true }, signal);
  }

  resumeConsumer(consumer: string, signal?: AbortSignal): Promise<void> {
    return this.#post(`/consumers/${consumer}/resume`, {}, signal);
  }

  closeConsumer(consumer: string, signal?: AbortSignal): Promise<void> {
    return this.api.delete(`${this.#own}/consumers/${consumer}`, this.token, signal);
  }

  get #meeting(): string {
    return `/v1/meetings/${encodeURIComponent(this.of.meeting)}`;
  }

  get #own(): string {
    return `${this.#meeting}/participants/${encodeURIComponent(this.of.participantId)}`;
  }

  #post<T>(path: string, body: object = {}, signal?: AbortSignal, persistence?: Persistence): Promise<T> {
    return this.api.post(this.#own + path, this.token, body, signal, persistence);
  }
}

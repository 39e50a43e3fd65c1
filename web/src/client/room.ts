/**
 * A participant's view of a meeting, from join to leave. The log of events says who is there and what is sent; two carriers
 * keep the transports alive; this file only connects them and tells the application.
 */

import { Carrier, type CarrierOptions } from "./carrier";
import { ConnectionState } from "./connection";
import { fetchDetails } from "./details";
import { Emitter } from "./emitter";
import { follow } from "./follow";
import { EventLog } from "./log";
import { Others } from "./others";
import { asProblem, type Problem } from "./problem";
import { Receiver } from "./receiver";
import type { Participant } from "./roster";
import type { Connection, RoomEvents } from "./room-events";
import type { Seat } from "./seat";
import { Sender, type Publication, type PublishOptions } from "./sender";
import { renewBefore } from "./token";
import type { Details, Direction, Joined, MeetingEvent, ProducerView } from "./wire";
import type { types } from "mediasoup-client";

/** Why a consumer closes for good; whatever else closes it closes its transport too, and that is made anew with all that was on it. */
const CLOSED = new Set(["closed", "producer_closed"]);

export interface RoomOptions {
  autoSubscribe: boolean;
  iceServers: RTCIceServer[];
}

export class Room extends Emitter<RoomEvents> {
  readonly #others: Others;
  readonly #log: EventLog<Details & { lost: string[] }>;
  readonly #sender: Sender;
  readonly #receiver: Receiver;
  readonly #carriers: Record<Direction, Carrier>;
  readonly #stopped = new AbortController();
  readonly #connection: ConnectionState;
  #epoch: number;

  /** Made by `join`. */
  constructor(
    private readonly seat: Seat,
    device: types.Device,
    joined: Joined,
    options: RoomOptions,
  ) {
    super();
    this.#epoch = joined.epoch;
    this.#sender = new Sender(seat, device, () => this.#carriers.send.changed(), (gone) => this.emit("publicationClosed", gone));
    this.#receiver = new Receiver(seat, device, () => this.#carriers.recv.changed(), {
      onAdded: (subscription) => this.emit("trackAdded", subscription),
      onRemoved: (subscription) => this.emit("trackRemoved", subscription),
      onLost: (subscription) => this.emit("trackLost", subscription),
      onRefused: (_producer, problem) => this.emit("error", problem),
    });
    const carrier: CarrierOptions = {
      seat,
      device,
      iceServers: options.iceServers,
      onState: () => this.#connection.look(),
      onProblem: (problem) => this.emit("error", problem),
      onOver: (problem) => this.#over(problem),
    };
    this.#carriers = { send: new Carrier(this.#sender, carrier), recv: new Carrier(this.#receiver, carrier) };
    const working = (): boolean => Object.values(this.#carriers).every((carrier) => carrier.working);
    this.#connection = new ConnectionState(working, (now) => this.emit("connection", now), this.#stopped.signal);
    this.#others = new Others(seat.of.participantId, this.#receiver, options.autoSubscribe, (name, value) => this.emit(name, value));
    this.#others.roster.reconcile(joined);
    this.#log = new EventLog(joined.lastEventId, {
      apply: (event) => this.#apply(event),
      reconcile: (details) => this.#reconcile(details),
      fetch: () => fetchDetails(seat, Object.values(this.#carriers), this.#stopped.signal),
      onFailure: (error) => this.#over(asProblem(error)),
    });
    setTimeout(() => this.#begin(), 0); // after the caller of join() has attached its listeners
  }

  get participantId(): string {
    return this.seat.of.participantId;
  }

  /** Proves the seat: a page that is loaded anew can join with it as another instance of the same participant. */
  get participantToken(): string {
    return this.seat.token;
  }

  /** Everybody who is seated, this participant included. */
  get participants(): Participant[] {
    return [...this.#others.roster.participants.values()];
  }

  /** Everything that is sent, own producers included. */
  get producers(): ProducerView[] {
    return [...this.#others.roster.producers.values()];
  }

  get connection(): Connection {
    return this.#connection.now;
  }

  /** Send a track, until `unpublish`; a new transport carries it again by itself. Raises Problem when it is refused, or the room is over first. */
  publish(track: MediaStreamTrack, options: PublishOptions = {}): Promise<Publication> {
    return this.#sender.publish(track, options);
  }

  unpublish(publication: Publication): void {
    this.#sender.unpublish(publication);
  }

  pause(publication: Publication): void {
    this.#sender.pause(publication, true);
  }

  resume(publication: Publication): void {
    this.#sender.pause(publication, false);
  }

  /** Send another track in place of the publication's (another camera); the others notice nothing but the picture. */
  replaceTrack(publication: Publication, track: MediaStreamTrack): Promise<void> {
    return this.#sender.replaceTrack(publication, track);
  }

  /** Receive a producer; needed only without `autoSubscribe`, or after `unsubscribe`. */
  subscribe(producerId: string): void {
    this.#others.subscribe(producerId);
  }

  /** Receive a producer no more, nor what takes its place when its transport or the meeting's server is another. */
  unsubscribe(producerId: string): void {
    this.#others.unsubscribe(producerId);
  }

  /** Make the transport of a direction anew, with everything on it. */
  recreateTransport(direction: Direction): void {
    this.#carriers[direction].restart();
  }

  /** The browser's own statistics of the two transports. */
  async stats(): Promise<Partial<Record<Direction, RTCStatsReport>>> {
    const { send, recv } = this.#carriers;
    return {
      ...(send.transport && { send: await send.transport.getStats() }),
      ...(recv.transport && { recv: await recv.transport.getStats() }),
    };
  }

  /** Give up the seat. */
  async leave(): Promise<void> {
    if (!this.#stop()) return;
    await this.seat.leave();
  }

  /** Give up the seat while the page goes away: nobody waits for the answer. */
  abandon(): void {
    if (this.#stop()) this.seat.abandon();
  }

  #begin(): void {
    if (this.#stopped.signal.aborted) return;
    this.#carriers.recv.changed(); // holds the seat, also when there is nothing to receive yet
    this.#others.begin();
    void this.#follow();
    void renewBefore(this.seat, this.#stopped.signal);
    globalThis.addEventListener?.("online", this.#online);
  }

  readonly #online = (): void => {
    this.#carriers.send.retryNow();
    this.#carriers.recv.retryNow();
  };

  async #follow(): Promise<void> {
    const problem = await follow({
      open: (lastEventId, signal) => this.seat.events(lastEventId, signal),
      lastEventId: this.#log.lastEventId,
      signal: this.#stopped.signal,
      onEvent: (event) => this.#log.receive(event),
      onState: (open) => this.#connection.following(open),
    });
    if (problem) this.#over(problem);
  }

  #apply(event: MeetingEvent): void {
    const { type, body } = event;
    const own = "participantId" in body && body.participantId === this.participantId;
    if (own && type === "ParticipantReplaced") return this.#finish("replaced", undefined);
    if (own && type === "ParticipantLeft") return this.#finish("removed", { reason: body.reason });
    if (type === "MeetingEnded") return this.#finish("ended", undefined);
    if (type === "TransportClosed") this.#carriers[body.direction].gone(body.transportId);
    if (type === "ConsumerClosed" && CLOSED.has(body.reason)) this.#receiver.closedByServer(body.consumerId);
    if (own && type === "ProducerClosed" && body.reason === "closed") this.#sender.closedByServer(body.producerId);
    if (type === "MeetingMoved") this.#began(body.epoch, body.keepUntil ? "kept" : "lost");
    else if (type === "MeetingCreated") this.#began(body.epoch, "lost");
    else if (type === "MeetingUnplaced") this.#began(body.epoch, "nowhere");
    else this.#others.apply(event);
  }

  /** All that is sent is sent anew at the new place, once there is one. Where the old one is kept for a while, it is left only when that is done. */
  #began(epoch: number, old: "lost" | "kept" | "nowhere"): void {
    if (epoch <= this.#epoch) return;
    this.#epoch = epoch;
    this.#others.moved();
    if (old !== "nowhere") this.emit("meetingMoved", { epoch });
    for (const carrier of Object.values(this.#carriers)) {
      if (old === "nowhere") carrier.unplaced();
      else carrier.moved(old === "kept");
    }
    this.#connection.placed(old !== "nowhere");
  }

  /** After a gap: close what is not listed any more, this participant's own transports too. */
  #reconcile({ lost, ...details }: Details & { lost: string[] }): void {
    const seated = details.participants.some((participant) => participant.participantId === this.participantId);
    if (!seated) return this.#finish("removed", { reason: "gone" });
    this.#began(details.epoch, details.state === "unplaced" ? "nowhere" : "lost");
    for (const carrier of Object.values(this.#carriers)) for (const transport of lost) carrier.gone(transport);
    this.#others.reconcile(details);
  }

  #over(problem: Problem): void {
    if (problem.code === "meeting_not_found") this.#finish("ended", undefined);
    else this.#finish("removed", { reason: problem.code });
  }

  #finish<Last extends "ended" | "replaced" | "removed">(last: Last, value: RoomEvents[Last]): void {
    if (this.#stop()) this.emit(last, value);
  }

  /** Return whether this call stopped it. */
  #stop(): boolean {
    if (this.#stopped.signal.aborted) return false;
    this.#stopped.abort();
    globalThis.removeEventListener?.("online", this.#online);
    this.#carriers.send.close();
    this.#carriers.recv.close();
    this.#receiver.close();
    this.#connection.close();
    this.#sender.close();
    return true;
  }
}

/**
 * A participant's view of a meeting, from join to leave. The log of events says who is there and what is sent; two carriers
 * keep the transports alive; this file only connects them and tells the application.
 */

import { Carrier, type CarrierOptions } from "./carrier";
import { Emitter } from "./emitter";
import { follow } from "./follow";
import { EventLog } from "./log";
import { asProblem, type Problem } from "./problem";
import { Receiver } from "./receiver";
import { Roster, type Change, type Participant } from "./roster";
import type { Connection, RoomEvents } from "./room-events";
import type { Seat } from "./seat";
import { Sender, type Publication, type PublishOptions } from "./sender";
import { renewBefore } from "./token";
import { backoff, wait } from "./waiting";
import type { Details, Direction, Joined, MeetingEvent, ProducerView } from "./wire";
import type { types } from "mediasoup-client";

export interface RoomOptions {
  autoSubscribe: boolean;
  iceServers: RTCIceServer[];
}

export class Room extends Emitter<RoomEvents> {
  readonly #roster = new Roster();
  readonly #log: EventLog;
  readonly #sender: Sender;
  readonly #receiver: Receiver;
  readonly #carriers: Record<Direction, Carrier>;
  readonly #stopped = new AbortController();
  #connection: Connection = "connecting";
  #following = false;

  /** Made by `join`. */
  constructor(
    private readonly seat: Seat,
    device: types.Device,
    joined: Joined,
    private readonly options: RoomOptions,
  ) {
    super();
    this.#sender = new Sender(seat, device, () => this.#carriers.send.changed(), (gone) => this.emit("publicationClosed", gone));
    this.#receiver = new Receiver(seat, device, () => this.#carriers.recv.changed(), {
      onAdded: (subscription) => this.emit("trackAdded", subscription),
      onRemoved: (subscription) => this.emit("trackRemoved", subscription),
      onRefused: (_producer, problem) => this.emit("error", problem),
    });
    const carrier: CarrierOptions = {
      seat,
      device,
      iceServers: options.iceServers,
      onState: () => this.#stateChanged(),
      onProblem: (problem) => this.emit("error", problem),
      onOver: (problem) => this.#over(problem),
    };
    this.#carriers = { send: new Carrier(this.#sender, carrier), recv: new Carrier(this.#receiver, carrier) };
    this.#roster.reconcile(joined);
    this.#log = new EventLog(joined.lastEventId, {
      apply: (event) => this.#apply(event),
      reconcile: (details) => this.#reconcile(details),
      fetch: () => this.#details(),
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
    return [...this.#roster.participants.values()];
  }

  /** Everything that is sent, own producers included. */
  get producers(): ProducerView[] {
    return [...this.#roster.producers.values()];
  }

  get connection(): Connection {
    return this.#connection;
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
    const producer = this.#roster.producers.get(producerId);
    if (producer) this.#receiver.subscribe(producer);
  }

  unsubscribe(producerId: string): void {
    this.#receiver.unsubscribe(producerId);
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
    for (const producer of this.#roster.producers.values()) this.#opened(producer);
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
      onState: (open) => {
        this.#following = open;
        this.#stateChanged();
      },
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
    if (type === "ConsumerClosed") this.#receiver.closedByServer(body.consumerId);
    if (own && type === "ProducerClosed" && body.reason === "closed") this.#sender.closedByServer(body.producerId);
    this.#tell(this.#roster.apply(event));
    if (type === "MeetingMoved") this.#moved(body.epoch);
  }

  #moved(epoch: number): void {
    this.emit("meetingMoved", { epoch });
    this.#carriers.send.restart();
    this.#carriers.recv.restart();
  }

  async #details(): Promise<Details & { asked: (string | undefined)[] }> {
    for (let tries = 0; ; tries += 1) {
      const asked = Object.values(this.#carriers).map((carrier) => carrier.transport?.id);
      try {
        return { ...(await this.seat.details(this.#stopped.signal)), asked };
      } catch (error) {
        const { over, code } = asProblem(error);
        if (this.#stopped.signal.aborted || over || code === "forbidden") throw error;
        await wait(backoff(tries), this.#stopped.signal);
      }
    }
  }

  /** After a gap: close what is not listed any more, this participant's own transports too. */
  #reconcile(details: Details & { asked?: (string | undefined)[] }): void {
    const seated = details.participants.some((participant) => participant.participantId === this.participantId);
    if (!seated) return this.#finish("removed", { reason: "gone" });
    const standing = new Set(details.ownTransports.map((transport) => transport.id));
    for (const carrier of Object.values(this.#carriers)) {
      const id = carrier.transport?.id;
      if (id && details.asked?.includes(id) && !standing.has(id)) carrier.gone(id);
    }
    this.#tell(this.#roster.reconcile(details));
  }

  #tell(changes: Change[]): void {
    for (const change of changes) {
      if ("participant" in change) this.emit(change.type, change.participant);
      else if (change.type === "producerOpened") this.#opened(change.producer);
      else if (change.producer.participantId !== this.participantId) this.emit(change.type, change.producer);
      if (change.type === "producerClosed") this.#receiver.unsubscribe(change.producer.id, true);
    }
  }

  #opened(producer: ProducerView): void {
    if (producer.participantId === this.participantId) return;
    this.emit("producerOpened", producer);
    if (this.options.autoSubscribe) this.#receiver.subscribe(producer);
  }

  #stateChanged(): void {
    if (this.#stopped.signal.aborted) return;
    const works = this.#following && Object.values(this.#carriers).every((carrier) => carrier.working);
    if (works) this.#setConnection("connected");
    else if (this.#connection === "connected") this.#setConnection("reconnecting");
  }

  #setConnection(connection: Connection): void {
    if (connection === this.#connection) return;
    this.#connection = connection;
    this.emit("connection", connection);
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
    this.#setConnection("closed");
    this.#sender.close();
    return true;
  }
}

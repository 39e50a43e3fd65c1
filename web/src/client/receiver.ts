/**
 * What this participant receives: the producers that are wanted, and the consumers that carry them.
 *
 * A track that is lost on the way is not removed at once: it stays (and runs on where the old server still forwards) until its
 * successor's first frame is here. Then, in one turn, the old one is removed and the new one added.
 */

import type { Cargo } from "./carrier";
import { flowing } from "./flowing";
import { Lanes } from "./lanes";
import { asProblem, unlessGone, type Problem } from "./problem";
import type { Seat } from "./seat";
import { Successions, type Passing } from "./successions";
import type { ProducerView } from "./wire";
import type { types } from "mediasoup-client";

/** A track of another participant that arrives here. */
export interface Subscription {
  readonly producer: ProducerView;
  readonly track: MediaStreamTrack;
}

interface Entry {
  producer: ProducerView;
  consumer?: types.Consumer;
  /** What the application was told of; not yet while a predecessor is still shown. */
  shown?: Subscription;
}

export interface ReceiverEvents {
  onAdded: (subscription: Subscription) => void;
  onRemoved: (subscription: Subscription) => void;
  /** Nothing comes any more, for a while; told before the track ends. */
  onLost: (subscription: Subscription) => void;
  /** This producer cannot be received here (its codec, mostly). */
  onRefused: (producer: ProducerView, problem: Problem) => void;
}

/** A server lets at most eight commands of a seat wait. */
const AT_ONCE = 4;

export class Receiver implements Cargo {
  readonly direction = "recv";
  readonly #entries = new Map<string, Entry>();
  readonly #unwanted = new Set<string>();
  readonly #passing: Successions<Subscription>;
  #lanes: Lanes<Entry> | undefined;

  constructor(
    private readonly seat: Seat,
    private readonly device: types.Device,
    private readonly changed: () => void,
    private readonly events: ReceiverEvents,
  ) {
    this.#passing = new Successions((subscription) => events.onRemoved(subscription));
  }

  subscribe(producer: ProducerView): void {
    if (this.#entries.has(producer.id)) return;
    this.#entries.set(producer.id, { producer });
    this.#lanes?.more();
    this.changed();
  }

  /** End receiving `producerId`; `told` when the server has closed it already. */
  unsubscribe(producerId: string, told = false): void {
    this.#passing.end((producer) => producer.id === producerId);
    const entry = this.#entries.get(producerId);
    if (!entry) return;
    this.#entries.delete(producerId);
    if (entry.consumer && !told) this.#unwanted.add(entry.consumer.id);
    this.#close(entry);
    this.changed();
  }

  /** The producer is over, and another will come in its place: its track stays until then. */
  awaitSuccessor(producerId: string): void {
    const entry = this.#entries.get(producerId);
    if (!entry) return;
    this.#entries.delete(producerId);
    this.#giveUp(entry);
    this.changed();
  }

  /** A participant left: no successor will come. */
  left(participantId: string): void {
    this.#passing.end((producer) => producer.participantId === participantId);
  }

  closedByServer(consumerId: string): void {
    for (const [producerId, entry] of this.#entries) {
      if (entry.consumer?.id === consumerId) this.unsubscribe(producerId, true);
    }
  }

  lost(goesOn: boolean): void {
    this.#unwanted.clear();
    for (const entry of this.#entries.values()) this.#giveUp(entry);
    if (!goesOn) for (const subscription of this.#passing.things()) this.events.onLost(subscription);
  }

  relieved(): Promise<void> {
    return this.#passing.none();
  }

  /** The room is over: nothing takes anything's place any more. */
  close(): void {
    this.lost(false);
    this.#passing.end(() => true);
  }

  async load(transport: types.Transport, signal: AbortSignal): Promise<void> {
    const missing = (): Entry[] => (signal.aborted ? [] : [...this.#entries.values()].filter((entry) => !entry.consumer));
    this.#lanes = new Lanes(AT_ONCE, missing, (entry) => this.#consume(transport, entry, signal));
    await this.#lanes.run();
    for (const consumer of [...this.#unwanted]) {
      this.#unwanted.delete(consumer);
      await this.seat.closeConsumer(consumer, signal).catch(unlessGone);
    }
  }

  async #consume(transport: types.Transport, entry: Entry, signal: AbortSignal): Promise<void> {
    const { producer } = entry;
    try {
      const made = await this.seat.createConsumer(producer.id, this.device.recvRtpCapabilities, signal);
      if (!this.#wanted(entry)) return void this.#unwanted.add(made.id);
      const { id, producerId, kind, rtpParameters } = made;
      const options = { id, producerId, kind, rtpParameters, streamId: producer.participantId };
      const consumer = (entry.consumer = await transport.consume(options));
      if (!this.#wanted(entry)) return this.#abandon(entry);
      const before = this.#passing.succeed(producer);
      if (!before) this.#show(entry, consumer);
      await this.seat.resumeConsumer(id, signal).catch(unlessGone); // its producer may have closed meanwhile
      if (before) void this.#takeOver(entry, consumer, before);
    } catch (error) {
      this.#refused(asProblem(error), transport, entry);
    }
  }

  /** Show the successor as soon as it has something to show. */
  async #takeOver(entry: Entry, consumer: types.Consumer, before: Passing<Subscription>): Promise<void> {
    if (!entry.producer.paused) await flowing(consumer, before.over);
    if (entry.consumer !== consumer || !this.#wanted(entry)) return;
    this.#passing.finish(before);
    this.#show(entry, consumer);
  }

  #show(entry: Entry, consumer: types.Consumer): void {
    entry.shown = { producer: entry.producer, track: consumer.track };
    this.events.onAdded(entry.shown);
  }

  /** The producer closed while its consumer was made: nobody was told of a track, so nobody is told that it went. */
  #abandon(entry: Entry): void {
    if (entry.consumer) this.#unwanted.add(entry.consumer.id);
    entry.consumer?.close();
    delete entry.consumer;
  }

  #wanted(entry: Entry): boolean {
    return this.#entries.get(entry.producer.id) === entry;
  }

  /** One producer's refusal concerns that producer alone; anything else concerns the transport. */
  #refused(problem: Problem, transport: types.Transport, entry: Entry): void {
    if (!this.#wanted(entry)) return;
    if (transport.closed || problem.transportGone || problem.over || problem.repeatable) throw problem;
    this.#entries.delete(entry.producer.id);
    this.#close(entry);
    if (problem.code !== "producer_not_found") this.events.onRefused(entry.producer, problem);
  }

  /** What carried the entry is gone, or will be: what was shown of it stays until something takes its place. */
  #giveUp(entry: Entry): void {
    const { shown, producer } = entry;
    delete entry.consumer;
    delete entry.shown;
    if (shown) this.#passing.await(producer, shown);
    else this.#passing.unclaim(producer);
  }

  #close(entry: Entry): void {
    const { consumer, shown } = entry;
    delete entry.consumer;
    delete entry.shown;
    consumer?.close();
    if (shown) this.events.onRemoved(shown);
  }
}

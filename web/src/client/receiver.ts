/** What this participant receives: the producers that are wanted, and the consumers that carry them. */

import type { Cargo } from "./carrier";
import { asProblem, unlessGone, type Problem } from "./problem";
import type { Seat } from "./seat";
import { inParallel } from "./waiting";
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
}

export interface ReceiverEvents {
  onAdded: (subscription: Subscription) => void;
  onRemoved: (subscription: Subscription) => void;
  /** This producer cannot be received here (its codec, mostly). */
  onRefused: (producer: ProducerView, problem: Problem) => void;
}

/** A server lets at most eight commands of a seat wait. */
const AT_ONCE = 4;

export class Receiver implements Cargo {
  readonly direction = "recv";
  readonly #entries = new Map<string, Entry>();
  readonly #unwanted = new Set<string>();

  constructor(
    private readonly seat: Seat,
    private readonly device: types.Device,
    private readonly changed: () => void,
    private readonly events: ReceiverEvents,
  ) {}

  subscribe(producer: ProducerView): void {
    if (this.#entries.has(producer.id)) return;
    this.#entries.set(producer.id, { producer });
    this.changed();
  }

  /** End receiving `producerId`; `told` when the server has closed it already. */
  unsubscribe(producerId: string, told = false): void {
    const entry = this.#entries.get(producerId);
    if (!entry) return;
    this.#entries.delete(producerId);
    if (entry.consumer && !told) this.#unwanted.add(entry.consumer.id);
    this.#close(entry);
    this.changed();
  }

  closedByServer(consumerId: string): void {
    for (const [producerId, entry] of this.#entries) {
      if (entry.consumer?.id === consumerId) this.unsubscribe(producerId, true);
    }
  }

  lost(): void {
    this.#unwanted.clear();
    for (const entry of this.#entries.values()) this.#close(entry);
  }

  async load(transport: types.Transport): Promise<void> {
    const missing = [...this.#entries.values()].filter((entry) => !entry.consumer);
    await inParallel(AT_ONCE, missing, (entry) => this.#consume(transport, entry));
    for (const consumer of [...this.#unwanted]) {
      this.#unwanted.delete(consumer);
      await this.seat.closeConsumer(consumer).catch(unlessGone);
    }
  }

  async #consume(transport: types.Transport, entry: Entry): Promise<void> {
    const { producer } = entry;
    try {
      const made = await this.seat.createConsumer(producer.id, this.device.recvRtpCapabilities);
      if (!this.#wanted(entry)) return void this.#unwanted.add(made.id);
      const { id, producerId, kind, rtpParameters } = made;
      const options = { id, producerId, kind, rtpParameters, streamId: producer.participantId };
      entry.consumer = await transport.consume(options);
      if (!this.#wanted(entry)) return this.#abandon(entry);
      this.events.onAdded({ producer, track: entry.consumer.track });
      await this.seat.resumeConsumer(id).catch(unlessGone); // its producer may have closed meanwhile
    } catch (error) {
      this.#refused(asProblem(error), transport, entry);
    }
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

  #close(entry: Entry): void {
    const { consumer, producer } = entry;
    if (!consumer) return;
    delete entry.consumer;
    consumer.close();
    this.events.onRemoved({ producer, track: consumer.track });
  }
}

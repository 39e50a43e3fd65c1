/** The others as this participant sees them: who is there, what they send, which of it is received. */

import type { Receiver } from "./receiver";
import { Roster, type Change } from "./roster";
import type { RoomEvents } from "./room-events";
import { Wishes } from "./wishes";
import type { MeetingEvent, ProducerView, Snapshot } from "./wire";

export type Tell = <Name extends keyof RoomEvents>(name: Name, value: RoomEvents[Name]) => void;

export class Others {
  readonly roster = new Roster();
  readonly #wishes: Wishes;

  /** `self` is the own participant id: own producers are in the roster, and nobody's business here. */
  constructor(
    private readonly self: string,
    private readonly receiver: Receiver,
    autoSubscribe: boolean,
    private readonly tell: Tell,
  ) {
    this.#wishes = new Wishes(autoSubscribe);
  }

  /** Receive what was sent before this participant came. */
  begin(): void {
    for (const producer of this.roster.producers.values()) this.#opened(producer);
  }

  apply(event: MeetingEvent): void {
    this.#take(this.roster.apply(event));
  }

  reconcile(snapshot: Snapshot): void {
    this.#take(this.roster.reconcile(snapshot));
  }

  /** Everything that was sent at the old place is over, and comes again at the new one. */
  moved(): void {
    this.#take(this.roster.moved());
  }

  subscribe(producerId: string): void {
    const producer = this.roster.producers.get(producerId);
    if (!producer) return;
    this.#wishes.say(producerId, true);
    this.receiver.subscribe(producer);
  }

  unsubscribe(producerId: string): void {
    this.#wishes.say(producerId, false);
    this.receiver.unsubscribe(producerId);
  }

  #take(changes: Change[]): void {
    for (const change of changes) {
      if ("participant" in change) this.tell(change.type, change.participant);
      else if (change.type === "producerOpened") this.#opened(change.producer);
      else if (change.producer.participantId !== this.self) this.tell(change.type, change.producer);
      if (change.type === "participantLeft") this.#left(change.participant.id);
      if (change.type === "producerClosed") this.#closed(change.producer, change.comesAgain);
    }
  }

  #opened(producer: ProducerView): void {
    if (producer.participantId === this.self) return;
    this.tell("producerOpened", producer);
    if (this.#wishes.wants(producer)) this.receiver.subscribe(producer);
  }

  #closed(producer: ProducerView, comesAgain: boolean): void {
    this.#wishes.closed(producer, comesAgain);
    if (comesAgain) this.receiver.awaitSuccessor(producer.id);
    else this.receiver.unsubscribe(producer.id, true);
  }

  #left(participantId: string): void {
    this.#wishes.left(participantId);
    this.receiver.left(participantId);
  }
}

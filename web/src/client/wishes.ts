/** Whom to receive: what the application asked for, and what the producers that take others' places inherit of that. Pure. */

import { alike } from "./successions";
import type { ProducerView } from "./wire";

export class Wishes {
  readonly #said = new Map<string, boolean>();
  #inheritances: { producer: ProducerView; wanted: boolean }[] = [];

  /** `byDefault`: whether producers are received that nothing was said of. */
  constructor(private readonly byDefault: boolean) {}

  /** The application wants a producer, or does not. */
  say(producerId: string, wanted: boolean): void {
    this.#said.set(producerId, wanted);
  }

  /** Tell whether a producer that just opened is to be received; one that takes another's place is wanted as that was. */
  wants(producer: ProducerView): boolean {
    const heir = this.#inheritances.find((one) => alike(one.producer, producer));
    if (!heir) return this.#said.get(producer.id) ?? this.byDefault;
    this.#inheritances = this.#inheritances.filter((one) => one !== heir);
    this.#said.set(producer.id, heir.wanted);
    return heir.wanted;
  }

  /** A producer closed; `comesAgain`: another will take its place. */
  closed(producer: ProducerView, comesAgain: boolean): void {
    const wanted = this.#said.get(producer.id);
    this.#said.delete(producer.id);
    if (comesAgain && wanted !== undefined) this.#inheritances.push({ producer, wanted });
  }

  /** A participant left: nothing of theirs comes again. */
  left(participantId: string): void {
    this.#inheritances = this.#inheritances.filter(({ producer }) => producer.participantId !== participantId);
  }
}

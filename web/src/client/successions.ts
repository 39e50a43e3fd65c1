/** What takes whose place: a track that was lost on the way waits here for its successor. */

import type { ProducerView } from "./wire";

/** Something of a producer that waits for its successor, at most for a while. */
export interface Passing<Thing> {
  readonly producer: ProducerView;
  readonly thing: Thing;
  /** It is not waited for any more. */
  readonly over: AbortSignal;
}

interface Kept<Thing> extends Passing<Thing> {
  /** The producer that is about to take its place. */
  successor: string | undefined;
  end: () => void;
}

/** How long a lost track stays without a successor. */
const LONGEST_MS = 10_000;

/** Return whether both are the same publication of the same participant, as far as one can know. */
export function alike(one: ProducerView, other: ProducerView): boolean {
  return one.participantId === other.participantId && one.kind === other.kind && JSON.stringify(one.appData) === JSON.stringify(other.appData);
}

export class Successions<Thing> {
  readonly #kept = new Set<Kept<Thing>>();
  #waiting: (() => void)[] = [];

  /** `onEnd` is called once for each thing, when it is over. */
  constructor(private readonly onEnd: (thing: Thing) => void) {}

  /** Keep `thing` until its successor finishes it, or for a while. */
  await(producer: ProducerView, thing: Thing): void {
    const over = new AbortController();
    const timer = setTimeout(() => this.finish(kept), LONGEST_MS);
    const end = (): void => {
      clearTimeout(timer);
      over.abort();
    };
    const kept: Kept<Thing> = { producer, thing, over: over.signal, successor: undefined, end };
    this.#kept.add(kept);
  }

  /** Return what `producer` takes the place of; nobody else gets it then. */
  succeed(producer: ProducerView): Passing<Thing> | undefined {
    const free = [...this.#kept].filter((kept) => kept.successor === undefined || kept.successor === producer.id);
    const found =
      free.find((kept) => kept.producer.id === producer.id) ??
      free.find((kept) => alike(kept.producer, producer)) ??
      free.find(({ producer: { participantId, kind } }) => participantId === producer.participantId && kind === producer.kind);
    if (found) found.successor = producer.id;
    return found;
  }

  /** `producer` takes nobody's place after all. */
  unclaim({ id }: ProducerView): void {
    for (const kept of this.#kept) if (kept.successor === id) kept.successor = undefined;
  }

  /** Return what waits. */
  things(): Thing[] {
    return [...this.#kept].map(({ thing }) => thing);
  }

  finish(passing: Passing<Thing>): void {
    this.end((_, one) => one === passing);
  }

  /** End whatever waits that `which` names. */
  end(which: (producer: ProducerView, passing: Passing<Thing>) => boolean): void {
    for (const kept of this.#kept) {
      if (!which(kept.producer, kept)) continue;
      this.#kept.delete(kept);
      kept.end();
      this.onEnd(kept.thing);
    }
    if (this.#kept.size === 0) this.#waiting.splice(0).forEach((done) => done());
  }

  /** Resolves when nothing waits any more. */
  none(): Promise<void> {
    return this.#kept.size === 0 ? Promise.resolve() : new Promise((done) => this.#waiting.push(done));
  }
}

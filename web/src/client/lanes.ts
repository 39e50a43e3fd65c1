/** Work side by side, a bounded number at a time; more may come while some is under way. */

export class Lanes<Item> {
  readonly #busy = new Set<Item>();
  #failures: unknown[] = [];
  #done: (() => void) | undefined;

  /** `waiting` names what is to be worked at, whether it is already or not. */
  constructor(
    private readonly limit: number,
    private readonly waiting: () => Iterable<Item>,
    private readonly work: (item: Item) => Promise<void>,
  ) {}

  /** Work until nothing waits any more; raises what the first failing item raised, after all that were begun have ended. */
  async run(): Promise<void> {
    this.#failures = [];
    const done = new Promise<void>((resolve) => (this.#done = resolve));
    this.more();
    await done;
    if (this.#failures.length > 0) throw this.#failures[0];
  }

  /** Something more waits: begin with it now if there is room. Without a `run` under way this does nothing. */
  more(): void {
    if (!this.#done) return;
    for (const item of this.#failures.length > 0 ? [] : this.waiting()) {
      if (this.#busy.size >= this.limit) return;
      if (!this.#busy.has(item)) void this.#begin(item);
    }
    if (this.#busy.size > 0) return;
    this.#done();
    this.#done = undefined;
  }

  async #begin(item: Item): Promise<void> {
    this.#busy.add(item);
    try {
      await this.work(item);
    } catch (error) {
      this.#failures.push(error);
    }
    this.#busy.delete(item);
    this.more();
  }
}

/**
 * The meeting's log as this client reads it: each event once, in order. After a gap the meeting is fetched; events are held
 * meanwhile and those that the snapshot contains are dropped.
 */

import type { MeetingEvent } from "./wire";

export interface LogReader<Snapshot extends { lastEventId: number }> {
  apply: (event: MeetingEvent) => void;
  reconcile: (snapshot: Snapshot) => void;
  /** Fetch the meeting; called after a gap. */
  fetch: () => Promise<Snapshot>;
  onFailure: (error: unknown) => void;
}

export class EventLog<Snapshot extends { lastEventId: number }> {
  #held: MeetingEvent[] | null = null;
  #again = false;

  constructor(
    private last: number,
    private readonly reader: LogReader<Snapshot>,
  ) {}

  /** The last event that is contained in what the reader knows. */
  get lastEventId(): number {
    return this.last;
  }

  receive(event: MeetingEvent): void {
    if (event.type === "gap" || event.type === "LogReset") this.#doubt();
    else if (this.#held) this.#held.push(event);
    else this.#take(event);
  }

  #take(event: MeetingEvent): void {
    if (event.id !== null) {
      if (event.id <= this.last) return;
      this.last = event.id;
    }
    this.reader.apply(event);
  }

  #doubt(): void {
    this.#again = this.#held !== null; // a gap during a fetch: that snapshot may be too old
    this.#held ??= [];
    if (!this.#again) void this.#catchUp();
  }

  async #catchUp(): Promise<void> {
    try {
      let details = await this.reader.fetch();
      while (this.#again) {
        this.#again = false;
        details = await this.reader.fetch();
      }
      this.last = details.lastEventId;
      this.reader.reconcile(details);
    } catch (error) {
      this.reader.onFailure(error);
    }
    const held = this.#held ?? [];
    this.#held = null;
    for (const event of held) this.#take(event);
  }
}

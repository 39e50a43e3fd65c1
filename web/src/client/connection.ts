/** How a room is connected as a whole: its events arrive, the meeting has a place, its transports work. */

import type { Connection } from "./room-events";

export class ConnectionState {
  #now: Connection = "connecting";
  #following = false;
  #placed = true;

  /** `works`: whether the transports do; `stopped`: nothing changes any more but the end. */
  constructor(
    private readonly works: () => boolean,
    private readonly tell: (connection: Connection) => void,
    private readonly stopped: AbortSignal,
  ) {}

  get now(): Connection {
    return this.#now;
  }

  /** The stream of events is open, or lost. */
  following(open: boolean): void {
    this.#following = open;
    this.look();
  }

  /** Some media server carries the meeting, or none. */
  placed(somewhere: boolean): void {
    this.#placed = somewhere;
    this.look();
  }

  /** See how it is now. */
  look(): void {
    if (this.stopped.aborted) return;
    const broken = this.#now === "connecting" ? "connecting" : "reconnecting";
    if (!this.#following) this.#be(broken);
    else if (!this.#placed) this.#be("waiting");
    else this.#be(this.works() ? "connected" : broken);
  }

  close(): void {
    this.#be("closed");
  }

  #be(connection: Connection): void {
    if (connection === this.#now) return;
    this.#now = connection;
    this.tell(connection);
  }
}

/** The grid's tiles follow the room: one for each participant, the visitor's own first. */

import type { Participant, Room, Subscription } from "../client";
import { byId } from "./elements";
import { alert, dismiss } from "./notices";
import { Tile } from "./tile";

interface Seen {
  tile: Tile;
  received: Map<string, Subscription>;
}

export class Tiles {
  readonly #seen = new Map<string, Seen>();
  readonly #grid = byId("grid");

  constructor(
    private readonly room: Room,
    readonly own: Tile,
  ) {
    this.#grid.replaceChildren(own.element);
    for (const participant of room.participants) this.#joined(participant);
    room.on("participantJoined", (participant) => this.#joined(participant));
    room.on("participantLeft", (participant) => this.#left(participant));
    room.on("trackAdded", (subscription) => this.#added(subscription));
    room.on("trackRemoved", (subscription) => this.#removed(subscription));
    room.on("trackLost", ({ producer }) => producer.kind === "video" && this.#seen.get(producer.participantId)?.tile.freeze());
    for (const name of ["producerPaused", "producerResumed", "producerClosed"] as const) {
      room.on(name, ({ participantId }) => this.#refresh(participantId));
    }
    this.#count();
  }

  #joined({ id, displayName }: Participant): void {
    if (id === this.room.participantId) return;
    const seen = this.#seen.get(id);
    if (seen) return seen.tile.rename(displayName);
    const tile = new Tile(id, displayName);
    this.#seen.set(id, { tile, received: new Map() });
    this.#grid.append(tile.element);
    this.#count();
  }

  #left({ id }: Participant): void {
    this.#seen.get(id)?.tile.element.remove();
    this.#seen.delete(id);
    this.#count();
  }

  #added(subscription: Subscription): void {
    const { producer, track } = subscription;
    const seen = this.#seen.get(producer.participantId);
    seen?.received.set(producer.id, subscription);
    seen?.tile.add(track, () => this.#blocked());
    this.#refresh(producer.participantId);
  }

  #removed({ producer, track }: Subscription): void {
    const seen = this.#seen.get(producer.participantId);
    seen?.received.delete(producer.id);
    seen?.tile.remove(track);
    this.#refresh(producer.participantId);
  }

  #refresh(participantId: string): void {
    const seen = this.#seen.get(participantId);
    const flows = (kind: string): boolean =>
      [...(seen?.received.values() ?? [])].some(({ producer }) => producer.kind === kind && !producer.paused);
    seen?.tile.setMuted(!flows("audio"));
    seen?.tile.setPicture(flows("video"));
  }

  /** The browser plays sound only after a click; any click will do. */
  #blocked(): void {
    alert("sound", "Click anywhere to hear the others.");
    document.addEventListener("click", () => {
      dismiss("sound");
      for (const { tile } of this.#seen.values()) tile.play();
    }, { once: true });
  }

  #count(): void {
    document.title = `${this.#seen.size + 1} in the meeting · Doordarshan Kendra`;
    this.#grid.dataset["others"] = String(this.#seen.size);
  }
}

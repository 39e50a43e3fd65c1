/** Who is in the meeting and what they send, as a pure state: events and snapshots in, changes out. */

import type { MeetingEvent, ParticipantView, ProducerView, Snapshot } from "./wire";

export interface Participant {
  readonly id: string;
  readonly displayName: string;
}

export type Change =
  | { type: "participantJoined" | "participantLeft"; participant: Participant }
  | { type: "producerOpened" | "producerPaused" | "producerResumed"; producer: ProducerView }
  /** `comesAgain`: what was sent will be sent again by another producer, of itself. */
  | { type: "producerClosed"; producer: ProducerView; comesAgain: boolean };

/** Why producers close that their senders make anew at once. */
const PASSING = new Set(["recreated", "server_restarted"]);

export class Roster {
  readonly participants = new Map<string, Participant>();
  readonly producers = new Map<string, ProducerView>();

  /** Make the roster equal to `snapshot`; what it does not list has closed. */
  reconcile(snapshot: Snapshot): Change[] {
    const seated = new Set(snapshot.participants.map((participant) => participant.participantId));
    const sent = new Set(snapshot.producers.map((producer) => producer.id));
    return [
      ...[...this.producers.keys()].filter((id) => !sent.has(id)).flatMap((id) => this.#close(id)),
      ...[...this.participants.keys()].filter((id) => !seated.has(id)).flatMap((id) => this.#leave(id)),
      ...snapshot.participants.flatMap((participant) => this.#seat(participant)),
      ...snapshot.producers.flatMap((producer) => this.#open(producer)),
    ];
  }

  /** Everything that was sent at the old place is over. */
  moved(): Change[] {
    return [...this.producers.keys()].flatMap((id) => this.#close(id, true));
  }

  /** Take one event; events that change nothing here return no change. */
  apply({ type, body }: MeetingEvent): Change[] {
    switch (type) {
      case "ParticipantJoined":
      case "ParticipantReplaced":
        return this.#seat(body);
      case "ParticipantLeft":
        return this.#leave(body.participantId);
      case "ProducerCreated":
        return this.#open({ ...body, id: body.producerId });
      case "ProducerPaused":
        return this.#pause(body.producerId, true);
      case "ProducerResumed":
        return this.#pause(body.producerId, false);
      case "ProducerClosed":
        return this.#close(body.producerId, PASSING.has(body.reason));
      case "MeetingMoved":
        return this.moved();
      default:
        return [];
    }
  }

  #seat({ participantId, displayName }: ParticipantView): Change[] {
    const known = this.participants.get(participantId);
    const participant = { id: participantId, displayName: displayName || participantId };
    this.participants.set(participantId, participant);
    return known?.displayName === participant.displayName ? [] : [{ type: "participantJoined", participant }];
  }

  #leave(id: string): Change[] {
    const participant = this.participants.get(id);
    const theirs = [...this.producers.values()].filter((producer) => producer.participantId === id);
    const closed = theirs.flatMap((producer) => this.#close(producer.id));
    if (!participant) return closed;
    this.participants.delete(id);
    return [...closed, { type: "participantLeft", participant }];
  }

  #open({ id, participantId, kind, paused, appData }: ProducerView): Change[] {
    if (this.producers.has(id)) return this.#pause(id, paused);
    const producer = { id, participantId, kind, paused, appData };
    this.producers.set(id, producer);
    return [{ type: "producerOpened", producer }];
  }

  #pause(id: string, paused: boolean): Change[] {
    const producer = this.producers.get(id);
    if (!producer || producer.paused === paused) return [];
    producer.paused = paused;
    return [{ type: paused ? "producerPaused" : "producerResumed", producer }];
  }

  #close(id: string, comesAgain = false): Change[] {
    const producer = this.producers.get(id);
    this.producers.delete(id);
    return producer ? [{ type: "producerClosed", producer, comesAgain }] : [];
  }
}

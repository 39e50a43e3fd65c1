/** What a room tells its application. */

import type { Problem } from "./problem";
import type { Subscription } from "./receiver";
import type { Participant } from "./roster";
import type { Publication } from "./sender";
import type { ProducerView } from "./wire";

/** `waiting`: no media server has room for the meeting now; it goes on by itself when one has. */
export type Connection = "connecting" | "connected" | "reconnecting" | "waiting" | "closed";

export interface RoomEvents {
  /** Also when a participant comes back with another name. */
  participantJoined: Participant;
  participantLeft: Participant;
  /** A producer of another participant; with `autoSubscribe` its track follows. */
  producerOpened: ProducerView;
  producerClosed: ProducerView;
  producerPaused: ProducerView;
  producerResumed: ProducerView;
  trackAdded: Subscription;
  trackRemoved: Subscription;
  /** Nothing comes on it until its successor is added (or it is removed); told while its last picture can still be kept. */
  trackLost: Subscription;
  /** An own publication was closed by the server, or could not be made anew. */
  publicationClosed: Publication;
  connection: Connection;
  meetingMoved: { epoch: number };
  /** Something failed; what can be repaired is being repaired. */
  error: Problem;
  /** The last event of a room is one of these three. */
  ended: undefined;
  replaced: undefined;
  removed: { reason: string };
}

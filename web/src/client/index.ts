/** A client of Doordarshan Kendra: `join` a meeting, get a `Room`. */

export { join, type JoinOptions } from "./join";
export { Problem } from "./problem";
export type { Subscription } from "./receiver";
export type { Room } from "./room";
export type { Connection, RoomEvents } from "./room-events";
export type { Participant } from "./roster";
export type { Publication, PublishOptions } from "./sender";
export { claimsOf } from "./token";
export type { AppData, Capacity, Direction, Kind, ProducerView } from "./wire";

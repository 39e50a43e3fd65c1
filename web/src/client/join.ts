/** Join: take a seat, learn what the router can carry, return the room. */

import { Device, type types } from "mediasoup-client";
import { Api, type ApiOptions } from "./http";
import { asProblem } from "./problem";
import { randomId } from "./random";
import { Room } from "./room";
import { createMeeting, Seat } from "./seat";
import type { Capacity, Joined } from "./wire";

export interface JoinOptions extends ApiOptions {
  /** Random when absent. A token with a `sub` fixes it. */
  participantId?: string;
  displayName?: string;
  /** Start the meeting first if it does not run; needs the grant `create`. */
  create?: boolean | Capacity;
  /** Receive whatever the others send; default true. */
  autoSubscribe?: boolean;
  /** Added to those that the server names. */
  iceServers?: RTCIceServer[];
  /** A participant token of an earlier instance (a page that was loaded anew); `token` is used if it is no longer good. */
  participantToken?: string;
  /** Another device than this browser, e.g. of a headless participant. */
  device?: types.Device;
}

/** Join `meeting` at the gateway `url` (or several) with an access token. Raises Problem (`meeting_full`, `forbidden`, …). */
export async function join(url: string | string[], token: string, meeting: string, options: JoinOptions = {}): Promise<Room> {
  const { create, displayName, autoSubscribe = true, iceServers = [] } = options;
  const device = options.device ?? (await Device.factory());
  const api = new Api(url, options);
  const participantId = options.participantId ?? randomId();
  const seat = new Seat(api, { meeting, participantId, instanceId: randomId(), ...(displayName && { displayName }) });
  if (create) await createMeeting(api, token, meeting, create === true ? undefined : create);
  const joined = await takeSeat(seat, token, options.participantToken);
  if (!device.loaded) await device.load({ routerRtpCapabilities: joined.rtpCapabilities });
  return new Room(seat, device, joined, { autoSubscribe, iceServers });
}

async function takeSeat(seat: Seat, token: string, participantToken?: string): Promise<Joined> {
  if (participantToken) {
    try {
      return await seat.join(participantToken);
    } catch (error) {
      if (asProblem(error).repeatable) throw error; // anything else: that seat is over, take another
    }
  }
  return seat.join(token);
}

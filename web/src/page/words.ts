/** What the page says when something fails: one sentence on what happened, one on what to do. */

import type { Connection, Problem } from "../client";
import { devicesReachable, firefoxOnLoopback } from "./browser";
import type { Device } from "./local-media";

export const FIREFOX_ON_LOOPBACK =
  "Firefox does not connect to media on 127.0.0.1. Start the system with “make up HOST=<an address of this machine>” and open the link it prints, or use another browser.";

export const SEAT_LOST = "Your place in the meeting could not be taken again. Join anew.";

const PROBLEMS: Record<string, string> = {
  meeting_full: "This meeting is full. Try again when somebody has left.",
  producer_limit: "This meeting carries no more tracks. Others have to switch something off first.",
  no_capacity: "No media server has room for this meeting. Try again in a moment.",
  unauthenticated: "This invitation has expired or is not valid. Ask for a new link.",
  forbidden: "This invitation does not allow that. Ask for another link.",
  meeting_not_found: "This meeting is not running. Ask its host to start it.",
  unsupported_codec: "A track cannot be shown: this browser and the sender’s have no format in common.",
  network: "The server cannot be reached. Check the network.",
  media_server_unavailable: "The media server does not answer. Trying again.",
  unavailable: "The system is starting or overloaded. Trying again.",
  rate_limited: "Too many requests. Wait a moment and try again.",
};

/** Return what to tell about a problem with the server. */
export function wordsFor(problem: Problem): string {
  if (problem.code === "media_unreachable") return unreachable();
  if (problem.status >= 500 && !(problem.code in PROBLEMS)) return "The server does not answer as it should. Try again in a moment.";
  return PROBLEMS[problem.code] ?? `Something went wrong (${problem.code}): ${problem.message}`;
}

function unreachable(): string {
  if (firefoxOnLoopback()) return FIREFOX_ON_LOOPBACK;
  return "Sound and picture do not get through. Trying again; a firewall may block UDP to the media server.";
}

const BANNERS: Partial<Record<Connection, string>> = {
  reconnecting: "Reconnecting…",
  waiting: "No media server has room for this meeting just now. It goes on by itself as soon as one has.",
};

/** Return what to tell about the connection as long as it is so; nothing when all is well. */
export function wordsForConnection(connection: Connection): string | null {
  return BANNERS[connection] ?? null;
}

const DEVICES: Record<string, string> = {
  NotAllowedError: "The browser may not use the $. Allow that next to the address, or go on without.",
  NotFoundError: "No $ was found. Connect it, or go on without.",
  NotReadableError: "Another program uses the $. Close it, or go on without.",
  OverconstrainedError: "The chosen $ is not there any more. Choose another.",
};

/** Return what to tell when devices cannot be had: one sentence for all that failed alike. */
export function wordsForDevices(failures: { device: Device; error: unknown }[]): string {
  if (failures.length > 0 && !devicesReachable()) return "Browsers give camera and microphone to secure pages only. Open this page over HTTPS.";
  const alike = new Map<string, Device[]>();
  for (const { device, error } of failures) {
    const words = DEVICES[error instanceof DOMException ? error.name : ""] ?? "The $ cannot be used.";
    alike.set(words, [...(alike.get(words) ?? []), device]);
  }
  return [...alike].map(([words, devices]) => words.replace("$", devices.join(" and "))).join(" ");
}

/** Why a call is over: title and text. */
export const ENDINGS: Record<"left" | "ended" | "replaced" | "kicked" | "gone", [string, string]> = {
  left: ["You left the meeting", "You can come back with the same link."],
  ended: ["The meeting has ended", "Joining again starts it anew if your invitation allows that."],
  replaced: ["You are in this meeting elsewhere", "Your place was taken by another tab. Joining again here gives you a second one."],
  kicked: ["You were removed from the meeting", "Its host took your seat."],
  gone: ["You were away for too long", "The connection was lost and your seat was given up."],
};

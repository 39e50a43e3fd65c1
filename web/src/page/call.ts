/** The meeting itself: joins the room, shows it, resolves with the reason when it is over. */

import { join, type Problem, type Room } from "../client";
import { Controls } from "./controls";
import { byId, show } from "./elements";
import type { Invitation } from "./link";
import type { LocalMedia } from "./local-media";
import { alert, banner, dismiss, dismissAll } from "./notices";
import { Tile } from "./tile";
import { Tiles } from "./tiles";
import { rememberSeat, type Visit } from "./visit";
import { wordsFor, wordsForConnection, type ENDINGS } from "./words";

export type Ending = keyof typeof ENDINGS;

const TITLE = document.title;

/** Take a seat, or the one that this tab held before it was loaded anew. Raises Problem. */
export function enter(invitation: Invitation, name: string, before?: Visit): Promise<Room> {
  const { token, meeting, mayCreate } = invitation;
  return join(location.origin, token, meeting, {
    create: mayCreate,
    ...(name && { displayName: name }),
    ...(before && { participantId: before.participantId, participantToken: before.participantToken }),
  });
}

/** Show the room until it is over. */
export async function call(room: Room, invitation: Invitation, name: string, media: LocalMedia): Promise<Ending> {
  show("call");
  dismissAll();
  const own = new Tile(room.participantId, name || "Guest", true);
  new Tiles(room, own);
  let devices = { camera: false, microphone: false };
  const remember = (): void => {
    const { participantId, participantToken } = room;
    rememberSeat({ meeting: invitation.meeting, participantId, participantToken, name, ...devices });
  };
  new Controls(room, media, own, invitation.codec, (on) => {
    devices = on;
    remember();
  });
  tellTroubles(room);
  const quiet = keys();
  const ending = await over(room, remember);
  quiet();
  banner(null);
  document.title = TITLE;
  media.closeAll();
  return ending;
}

/** What is being repaired gets a word at once, and a sentence when it takes longer than this. */
const PATIENCE_MS = 6_000;

function tellTroubles(room: Room): void {
  let passing: Problem | undefined;
  let telling = 0;
  room.on("connection", (connection) => {
    banner(wordsForConnection(connection));
    if (connection === "reconnecting") return;
    window.clearTimeout(telling);
    passing = undefined;
    dismiss("network");
  });
  room.on("error", (problem) => {
    if (!problem.repeatable && problem.code !== "media_unreachable") return alert(problem.code, wordsFor(problem));
    if (!passing) telling = window.setTimeout(() => passing && alert("network", wordsFor(passing)), PATIENCE_MS);
    passing = problem;
  });
}

/** Wait for the end. A page that goes away remembers its seat once more: the token may have been renewed since. */
function over(room: Room, remember: () => void): Promise<Ending> {
  const leaving = new AbortController();
  return new Promise<Ending>((done) => {
    room.on("ended", () => done("ended"));
    room.on("replaced", () => done("replaced"));
    room.on("removed", ({ reason }) => done(reason === "kicked" ? "kicked" : "gone"));
    byId("leave").onclick = () => {
      rememberSeat(null);
      room.leave().catch(() => undefined); // a seat that cannot be given up now is swept by the server
      done("left");
    };
    const goAway = (): void => {
      remember();
      room.abandon();
    };
    window.addEventListener("pagehide", goAway, { signal: leaving.signal });
  }).finally(() => leaving.abort());
}

/** `m` and `c` press the buttons; the returned function ends that. */
function keys(): () => void {
  const pressed = (event: KeyboardEvent): void => {
    if (event.ctrlKey || event.metaKey || event.altKey || event.repeat) return;
    const button = { m: "toggle-microphone", c: "toggle-camera" }[event.key.toLowerCase()];
    if (button) byId(button).click();
  };
  document.addEventListener("keydown", pressed);
  return () => document.removeEventListener("keydown", pressed);
}

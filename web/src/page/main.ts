/** The page from the link to the end of the meeting: choose devices, join, talk, perhaps join again. */

import { Problem, type Room } from "../client";
import { call, enter } from "./call";
import { byId, show } from "./elements";
import { keepFitted } from "./grid";
import { invitationOf, type Invitation } from "./link";
import { LocalMedia, type Device } from "./local-media";
import { alert, dismissAll } from "./notices";
import { prejoin } from "./prejoin";
import "./style.css";
import { rememberSeat, seatOf, type Visit } from "./visit";
import { ENDINGS, SEAT_LOST, wordsFor, wordsForDevices } from "./words";

async function visit(invitation: Invitation): Promise<void> {
  const media = new LocalMedia();
  const before = seatOf(invitation.meeting);
  let name = before?.name ?? "";
  let room = before && (await comeBack(invitation, media, before));
  while (!room) {
    name = await prejoin(media, invitation.meeting);
    room = await attempt(invitation, name);
  }
  const ending = await call(room, invitation, name, media);
  rememberSeat(null);
  await over(ENDINGS[ending], "Join again");
}

/** The tab was loaded anew in mid-call: come back to the same seat with the devices as they were. */
async function comeBack(invitation: Invitation, media: LocalMedia, before: Visit): Promise<Room | undefined> {
  for (const device of ["camera", "microphone"] as const) if (before[device]) await reopen(media, device);
  return attempt(invitation, before.name, before);
}

async function reopen(media: LocalMedia, device: Device): Promise<void> {
  await media.open(device).catch((error: unknown) => alert(device, wordsForDevices([{ device, error }])));
}

async function attempt(invitation: Invitation, name: string, before?: Visit): Promise<Room | undefined> {
  show("joining");
  dismissAll();
  const button = byId<HTMLButtonElement>("join");
  button.disabled = true;
  button.textContent = "Joining…";
  try {
    return await enter(invitation, name, before);
  } catch (error) {
    rememberSeat(null);
    alert("join", before ? SEAT_LOST : error instanceof Problem ? wordsFor(error) : `This browser cannot join: ${String(error)}`);
    return undefined;
  } finally {
    button.disabled = false;
    button.textContent = "Join";
  }
}

/** Show why there is no meeting (any more); with a `label`, wait for the visitor to press it. */
async function over([title, text]: [string, string], label?: string): Promise<void> {
  byId("over-title").textContent = title;
  byId("over-text").textContent = text;
  byId("again").hidden = label === undefined;
  byId("again").textContent = label ?? "";
  show("over");
  if (label === undefined) return;
  byId("again").focus();
  await new Promise((done) => (byId("again").onclick = done));
}

async function main(): Promise<void> {
  keepFitted(byId("grid"));
  window.addEventListener("hashchange", () => location.reload());
  // A page that the browser kept aside gave up its seat when it went: it comes back as if loaded anew.
  window.addEventListener("pageshow", (event) => event.persisted && location.reload());
  const invitation = invitationOf(location.hash);
  if (typeof invitation === "string") return over(["No invitation", invitation]);
  for (;;) await visit(invitation);
}

void main();

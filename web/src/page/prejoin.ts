/** The screen before the meeting: name, camera, microphone, a look at oneself. Joining without either device is fine. */

import { firefoxOnLoopback } from "./browser";
import { byId, show } from "./elements";
import { devicesOf, type Device, type LocalMedia } from "./local-media";
import { alert } from "./notices";
import { rememberedName, rememberName } from "./visit";
import { FIREFOX_ON_LOOPBACK, wordsForDevices } from "./words";

const NONE = "";

/** Show the screen; resolves with the name when the visitor asks to join. */
export async function prejoin(media: LocalMedia, meeting: string): Promise<string> {
  show("prejoin");
  byId("meeting-name").textContent = meeting;
  const name = byId<HTMLInputElement>("name");
  name.value ||= rememberedName();
  if (firefoxOnLoopback()) alert("firefox", FIREFOX_ON_LOOPBACK);
  for (const device of ["camera", "microphone"] as const) chooser(device).onchange = () => void choose(media, device, chooser(device).value);
  const asked = submitted();
  await openBoth(media);
  const relist = (): void => void listDevices(media);
  navigator.mediaDevices?.addEventListener("devicechange", relist);
  await asked;
  navigator.mediaDevices?.removeEventListener("devicechange", relist);
  byId<HTMLVideoElement>("preview").srcObject = null;
  rememberName(name.value.trim());
  return name.value.trim();
}

function chooser(device: Device): HTMLSelectElement {
  return byId<HTMLSelectElement>(device);
}

function submitted(): Promise<void> {
  return new Promise((done) => {
    byId<HTMLFormElement>("prejoin-form").onsubmit = (event) => {
      event.preventDefault();
      done();
    };
  });
}

async function openBoth(media: LocalMedia): Promise<void> {
  const failures: { device: Device; error: unknown }[] = [];
  for (const device of ["camera", "microphone"] as const) {
    try {
      if (!media.tracks[device]) await media.open(device);
    } catch (error) {
      failures.push({ device, error });
    }
  }
  await listDevices(media);
  complain(wordsForDevices(failures));
}

async function choose(media: LocalMedia, device: Device, deviceId: string): Promise<void> {
  complain("");
  try {
    if (deviceId === NONE) media.close(device);
    else await media.open(device, deviceId);
  } catch (error) {
    complain(wordsForDevices([{ device, error }]));
  }
  await listDevices(media);
}

async function listDevices(media: LocalMedia): Promise<void> {
  for (const device of ["camera", "microphone"] as const) {
    const found = await devicesOf(device);
    const options = found.map((info, at) => new Option(info.label || `${device} ${at + 1}`, info.deviceId));
    chooser(device).replaceChildren(new Option(`No ${device}`, NONE), ...options);
    chooser(device).value = media.tracks[device]?.getSettings().deviceId ?? NONE;
  }
  preview(media.tracks.camera);
}

function preview(track: MediaStreamTrack | null): void {
  const video = byId<HTMLVideoElement>("preview");
  video.srcObject = track && new MediaStream([track]);
  byId("preview-empty").hidden = track !== null;
}

function complain(words: string): void {
  const element = byId("device-problem");
  element.hidden = words === "";
  element.textContent = words;
}

/** Microphone and camera buttons. Muting pauses what is sent; switching the camera off closes it, so that its light goes out. */

import { Problem, type Publication, type Room } from "../client";
import { byId } from "./elements";
import type { Device, LocalMedia } from "./local-media";
import { alert, dismiss } from "./notices";
import type { Tile } from "./tile";
import { wordsFor, wordsForDevices } from "./words";

const LABELS: Record<Device, [on: string, off: string]> = {
  microphone: ["Mute", "Unmute"],
  camera: ["Stop camera", "Start camera"],
};

export class Controls {
  readonly #publications: Record<Device, Publication | null> = { camera: null, microphone: null };
  #trackShown: MediaStreamTrack | null = null;

  constructor(
    private readonly room: Room,
    private readonly media: LocalMedia,
    private readonly own: Tile,
    private readonly codec: string | undefined,
    private readonly onChange: (on: Record<Device, boolean>) => void,
  ) {
    for (const device of ["microphone", "camera"] as const) {
      this.#button(device).onclick = () => this.#toggle(device);
      this.#button(device).disabled = false;
      if (media.tracks[device]) void this.#publish(device);
    }
    media.onEnded = (device) => this.#lost(device);
    room.on("publicationClosed", (publication) => this.#closed(publication));
    this.#show();
  }

  #on(device: Device): boolean {
    const publication = this.#publications[device];
    return publication !== null && !publication.paused;
  }

  #toggle(device: Device): void {
    const publication = this.#publications[device];
    if (!publication) return void this.#start(device);
    if (device === "camera") this.#stop(device, publication);
    else if (publication.paused) this.room.resume(publication);
    else this.room.pause(publication);
    this.#show();
  }

  async #start(device: Device): Promise<void> {
    this.#button(device).disabled = true;
    try {
      await this.media.open(device);
    } catch (error) {
      this.#button(device).disabled = false;
      if (this.room.connection !== "closed") alert(device, wordsForDevices([{ device, error }]));
      return;
    }
    await this.#publish(device);
  }

  /** Until it is sent the button is off: pressed meanwhile, it would send a second track beside the first. */
  async #publish(device: Device): Promise<void> {
    const track = this.media.tracks[device];
    if (!track) return;
    dismiss(device);
    this.#button(device).disabled = true;
    this.#show();
    const codec = device === "camera" && this.codec ? { codec: this.codec } : {};
    try {
      const publication = await this.room.publish(track, { appData: { source: device }, ...codec });
      if (this.media.tracks[device] === track) this.#publications[device] = publication;
      else this.room.unpublish(publication); // the device was unplugged meanwhile
    } catch (error) {
      if (this.room.connection === "closed") return;
      this.media.close(device);
      if (error instanceof Problem) alert(device, wordsFor(error));
    }
    this.#button(device).disabled = false;
    this.#show();
  }

  #stop(device: Device, publication: Publication): void {
    this.#publications[device] = null;
    this.room.unpublish(publication);
    this.media.close(device);
  }

  #lost(device: Device): void {
    const publication = this.#publications[device];
    if (publication) this.#stop(device, publication);
    alert(device, `The ${device} was disconnected.`);
    this.#show();
  }

  #closed(publication: Publication): void {
    for (const device of ["microphone", "camera"] as const) {
      if (this.#publications[device] !== publication) continue;
      this.#publications[device] = null;
      this.media.close(device);
    }
    this.#show();
  }

  #show(): void {
    for (const device of ["microphone", "camera"] as const) {
      const button = this.#button(device);
      button.dataset["on"] = String(this.#on(device)); // not aria-pressed: "Mute, pressed" would say that it is muted
      const label = button.querySelector("span");
      if (label) label.textContent = LABELS[device][this.#on(device) ? 0 : 1];
    }
    this.own.setMuted(!this.#on("microphone"));
    this.#showCamera(this.media.tracks.camera);
    this.onChange({ camera: this.#on("camera"), microphone: this.#on("microphone") });
  }

  #showCamera(track: MediaStreamTrack | null): void {
    if (this.#trackShown !== track) {
      if (this.#trackShown) this.own.remove(this.#trackShown);
      if (track) this.own.add(track, () => undefined);
      this.#trackShown = track;
    }
    this.own.setPicture(track !== null);
  }

  #button(device: Device): HTMLButtonElement {
    return byId<HTMLButtonElement>(`toggle-${device}`);
  }
}

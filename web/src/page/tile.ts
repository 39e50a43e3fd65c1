/** One participant's tile: picture or initials, name, whether the microphone is off. Sound and picture share a stream, so lips fit words. */

import { byId } from "./elements";

export class Tile {
  readonly element: HTMLElement;
  readonly #video: HTMLVideoElement;
  readonly #stream = new MediaStream();
  readonly #still = document.createElement("canvas");

  /** `own` is the visitor's: mirrored, and silent here. */
  constructor(
    id: string,
    name: string,
    private readonly own = false,
  ) {
    const template = byId<HTMLTemplateElement>("tile").content.cloneNode(true) as DocumentFragment;
    this.element = template.firstElementChild as HTMLElement;
    this.#video = this.element.querySelector("video") as HTMLVideoElement;
    this.element.dataset["participant"] = id;
    this.element.classList.toggle("own", own);
    this.#video.muted = own;
    this.#video.srcObject = this.#stream;
    this.rename(name);
    this.setMuted(true);
    this.setPicture(false);
  }

  rename(name: string): void {
    (this.element.querySelector(".name") as HTMLElement).textContent = this.own ? `${name} (you)` : name;
    const avatar = this.element.querySelector(".avatar") as HTMLElement;
    avatar.textContent = initialsOf(name);
    avatar.style.setProperty("--hue", String(hueOf(name)));
    this.#video.setAttribute("aria-label", `Picture of ${name}`);
  }

  /** Play the track; `onBlocked` is called when the browser wants a click first. */
  add(track: MediaStreamTrack, onBlocked: () => void): void {
    this.#stream.addTrack(track);
    if (track.kind === "video") this.#thaw();
    this.#video.play().catch((error: unknown) => {
      if (error instanceof DOMException && error.name === "NotAllowedError") onBlocked();
    });
  }

  remove(track: MediaStreamTrack): void {
    this.#stream.removeTrack(track);
  }

  /** Keep the picture of this moment until another one is shown: a track that ends leaves a black one. */
  freeze(): void {
    const { videoWidth, videoHeight } = this.#video;
    if (!videoWidth || this.#still.isConnected) return;
    Object.assign(this.#still, { className: "still", width: videoWidth, height: videoHeight });
    this.#still.getContext("2d")?.drawImage(this.#video, 0, 0);
    this.#video.after(this.#still);
  }

  #thaw(): void {
    const gone = (): void => this.#still.remove();
    if ("requestVideoFrameCallback" in this.#video) this.#video.requestVideoFrameCallback(gone);
    else gone();
  }

  setMuted(muted: boolean): void {
    this.element.classList.toggle("is-muted", muted);
  }

  /** Show the picture, or the initials. */
  setPicture(shown: boolean): void {
    this.element.classList.toggle("has-picture", shown);
  }

  play(): void {
    void this.#video.play().catch(() => undefined);
  }
}

function initialsOf(name: string): string {
  const words = name.trim().split(/\s+/);
  const letters = [words[0], words.length > 1 ? words.at(-1) : ""].map((word) => [...(word ?? "")][0] ?? "");
  return letters.join("").toUpperCase();
}

function hueOf(name: string): number {
  return [...name].reduce((hue, letter) => (hue * 31 + (letter.codePointAt(0) ?? 0)) % 360, 7);
}

/** This visitor's camera and microphone: one track of each at most, opened and closed on request. */

export type Device = "camera" | "microphone";

/** One layer, forwarded to everybody as it is: more would cost each receiver. */
const CAMERA: MediaTrackConstraints = { width: { ideal: 640 }, height: { ideal: 360 }, frameRate: { ideal: 24, max: 30 } };
const MICROPHONE: MediaTrackConstraints = { echoCancellation: true, noiseSuppression: true, autoGainControl: true };

export class LocalMedia {
  readonly tracks: Record<Device, MediaStreamTrack | null> = { camera: null, microphone: null };
  /** A device was unplugged, or its permission withdrawn. */
  onEnded: (device: Device) => void = () => undefined;
  #over = false;

  /** Open a device, in place of the one that is open; raises the browser's DOMException and leaves that device closed. */
  async open(device: Device, deviceId?: string): Promise<MediaStreamTrack> {
    this.close(device);
    const wanted = { ...(device === "camera" ? CAMERA : MICROPHONE), ...(deviceId && { deviceId: { exact: deviceId } }) };
    const stream = await navigator.mediaDevices.getUserMedia(device === "camera" ? { video: wanted } : { audio: wanted });
    if (this.#over) stream.getTracks().forEach((late) => late.stop());
    if (this.#over) throw new DOMException("the call is over", "AbortError");
    const [track] = stream.getTracks();
    if (!track) throw new DOMException("no track", "NotFoundError");
    this.close(device);
    this.tracks[device] = track;
    track.addEventListener("ended", () => {
      if (this.tracks[device] !== track) return;
      this.tracks[device] = null;
      this.onEnded(device);
    });
    return track;
  }

  close(device: Device): void {
    const track = this.tracks[device];
    this.tracks[device] = null;
    track?.stop();
  }

  /** Close both for good, one that is just being opened too. */
  closeAll(): void {
    this.#over = true;
    this.close("camera");
    this.close("microphone");
  }
}

/** Return the devices of a kind; their labels are empty until one was allowed. */
export async function devicesOf(device: Device): Promise<MediaDeviceInfo[]> {
  const kind = device === "camera" ? "videoinput" : "audioinput";
  const all = (await navigator.mediaDevices?.enumerateDevices()) ?? [];
  return all.filter((info) => info.kind === kind && info.deviceId !== "communications");
}

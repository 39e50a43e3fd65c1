/** What this participant sends: publications are wishes that outlive the transports and producers that carry them. */

import type { Cargo } from "./carrier";
import { asProblem, Problem, unlessGone } from "./problem";
import type { Seat } from "./seat";
import { wait } from "./waiting";
import type { AppData, Kind } from "./wire";
import type { types } from "mediasoup-client";

export interface PublishOptions {
  /** Preferred codec: `VP8`, `VP9`, `H264`, `AV1`, `opus`; without it the meeting's first common one. */
  codec?: string;
  /** What other participants get to know of the track, e.g. `{source: "camera"}`. */
  appData?: AppData;
  paused?: boolean;
  encodings?: types.RtpEncodingParameters[];
  codecOptions?: types.ProducerCodecOptions;
}

/** A track that is, or is about to be, sent. */
export class Publication {
  /** The id that other participants see; a new one after the transport was made anew, undefined while there is none. */
  producerId: string | undefined;
  paused: boolean;

  constructor(
    public track: MediaStreamTrack,
    readonly options: PublishOptions,
  ) {
    this.paused = options.paused ?? false;
  }

  get kind(): Kind {
    return this.track.kind as Kind;
  }
}

interface Entry {
  publication: Publication;
  producer?: types.Producer;
  /** It goes on at the old place until the others have changed over. */
  leaving?: types.Producer;
  /** What the server was last told. */
  told: boolean;
  withdrawn: boolean;
  settled: (problem?: Problem) => void;
}

/** How long sending goes on at the old place after a move: the others change over to the new one meanwhile. */
const OVERLAP_MS = 4_000;

export class Sender implements Cargo {
  readonly direction = "send";
  readonly #entries = new Map<Publication, Entry>();
  #producing: Entry | undefined;
  #listening: types.Transport | undefined;
  #signal: AbortSignal | undefined;
  #over = false;

  constructor(
    private readonly seat: Seat,
    private readonly device: types.Device,
    private readonly changed: () => void,
    private readonly onClosed: (publication: Publication) => void,
  ) {}

  /** Resolves when the track is sent for the first time; raises Problem when it is refused. */
  publish(track: MediaStreamTrack, options: PublishOptions): Promise<Publication> {
    const publication = new Publication(track, options);
    return new Promise((resolve, reject) => {
      const settled = (problem?: Problem): void => (problem ? reject(problem) : resolve(publication));
      if (this.#over) return settled(overProblem());
      this.#entries.set(publication, { publication, told: publication.paused, withdrawn: false, settled });
      this.changed();
    });
  }

  /** The room is over: what was not sent yet never will be, and whoever waits for it is told. */
  close(): void {
    this.#over = true;
    for (const { settled } of this.#entries.values()) settled(overProblem());
  }

  unpublish(publication: Publication): void {
    const entry = this.#entries.get(publication);
    if (!entry) return;
    entry.withdrawn = true;
    entry.leaving?.close();
    entry.producer?.close();
    this.changed();
  }

  /** The own ear is quick: the track falls silent at once, the others are told as soon as possible. */
  pause(publication: Publication, paused: boolean): void {
    publication.paused = paused;
    this.#applyPause(this.#entries.get(publication));
    this.changed();
  }

  async replaceTrack(publication: Publication, track: MediaStreamTrack): Promise<void> {
    publication.track = track;
    await this.#entries.get(publication)?.producer?.replaceTrack({ track });
  }

  /** The server closed this producer while its transport stays (an administrator did). */
  closedByServer(producerId: string): void {
    for (const entry of this.#entries.values()) {
      if (entry.publication.producerId !== producerId || entry.withdrawn) continue;
      entry.producer?.close();
      this.#forget(entry);
      this.onClosed(entry.publication);
    }
  }

  lost(): void {
    for (const entry of this.#entries.values()) {
      if (entry.producer) entry.leaving = entry.producer;
      delete entry.producer;
      entry.publication.producerId = undefined;
    }
  }

  /** Nobody tells when the others have changed over. */
  relieved(): Promise<void> {
    return wait(OVERLAP_MS);
  }

  async load(transport: types.Transport, signal: AbortSignal): Promise<void> {
    this.#signal = signal;
    this.#listen(transport);
    for (const entry of [...this.#entries.values()]) {
      if (entry.withdrawn) await this.#withdraw(entry);
      else if (entry.producer) await this.#tell(entry);
      else await this.#produce(transport, entry);
    }
  }

  async #produce(transport: types.Transport, entry: Entry): Promise<void> {
    this.#producing = entry;
    try {
      const producer = await transport.produce(this.#producerOptions(entry.publication));
      entry.producer = producer;
      entry.publication.producerId = producer.id;
      this.#applyPause(entry);
      entry.settled();
    } catch (error) {
      this.#refused(asProblem(error), transport, entry);
    }
    await this.#tell(entry);
  }

  #producerOptions({ track, options }: Publication): types.ProducerOptions {
    const { codec, appData, encodings, codecOptions } = options;
    return {
      track,
      stopTracks: false,
      ...(codec && { codec: this.#codec(codec) }),
      ...(appData && { appData }),
      ...(encodings && { encodings }),
      ...(codecOptions && { codecOptions }),
    };
  }

  #codec(name: string): types.RtpCodecCapability {
    const codecs = this.device.sendRtpCapabilities.codecs ?? [];
    const codec = codecs.find(({ mimeType }) => mimeType.split("/")[1]?.toLowerCase() === name.toLowerCase());
    if (!codec) throw new Problem("unsupported_codec", -1, `this browser or this meeting cannot send ${name}`);
    return codec;
  }

  /** One track's refusal concerns that track alone; anything else concerns the transport. */
  #refused(problem: Problem, transport: types.Transport, entry: Entry): void {
    if (transport.closed || problem.transportGone || problem.over || problem.repeatable) throw problem;
    this.#forget(entry);
    entry.settled(problem);
    this.onClosed(entry.publication);
  }

  async #tell(entry: Entry): Promise<void> {
    const { publication, producer } = entry;
    if (!producer || entry.told === publication.paused || entry.withdrawn) return;
    const paused = publication.paused;
    await this.seat.pauseProducer(producer.id, paused, this.#signal).catch(unlessGone);
    entry.told = paused;
  }

  async #withdraw(entry: Entry): Promise<void> {
    const id = entry.publication.producerId;
    entry.producer?.close(); // it may have been made after it was withdrawn
    this.#forget(entry);
    entry.settled();
    if (id !== undefined) await this.seat.closeProducer(id, this.#signal).catch(unlessGone);
  }

  #forget(entry: Entry): void {
    this.#entries.delete(entry.publication);
    entry.publication.producerId = undefined;
  }

  #applyPause(entry: Entry | undefined): void {
    if (entry?.publication.paused) entry.producer?.pause();
    else entry?.producer?.resume();
  }

  #listen(transport: types.Transport): void {
    if (this.#listening === transport) return;
    this.#listening = transport;
    transport.on("produce", ({ kind, rtpParameters, appData }, done, failed) => {
      const entry = this.#producing as Entry;
      const paused = entry.publication.paused;
      entry.told = paused;
      const producer = { transportId: transport.id, kind, rtpParameters, paused, appData };
      this.seat.createProducer(producer, this.#signal).then(done, failed);
    });
  }
}

function overProblem(): Problem {
  return new Problem("room_over", -1, "the room is over");
}

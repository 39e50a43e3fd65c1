/**
 * One direction's WebRTC transport, kept alive. Its cargo (publications, subscriptions) says what should be on it; the carrier
 * makes the transport, has the cargo loaded whenever something changed, and starts anew when the transport or the meeting's
 * server is gone. Passes never overlap, so nothing here is told twice. A transport whose server goes on for a while is closed
 * when its successor has taken over; any other at once: dead ones that were kept beside their successors slowed those down.
 */

import { asProblem, Problem } from "./problem";
import type { Seat } from "./seat";
import { backoff, wait } from "./waiting";
import type { Direction } from "./wire";
import type { types } from "mediasoup-client";

export interface Cargo {
  readonly direction: Direction;
  /** Make what is on `transport` equal to what is wanted; called again after each change, so it must be repeatable. `signal`: give up. */
  load: (transport: types.Transport, signal: AbortSignal) => Promise<void>;
  /** The transport is given up, with all that was on it. Unless it `goesOn` for a while it is closed after this. */
  lost: (goesOn: boolean) => void;
  /** Resolves when what was on the transport before the one that is loaded is not needed any more. */
  relieved: () => Promise<void>;
}

export interface CarrierOptions {
  seat: Seat;
  device: types.Device;
  iceServers: RTCIceServer[];
  onState: () => void;
  /** It failed and is tried again. */
  onProblem: (problem: Problem) => void;
  /** The seat or the meeting is over: it is not tried again. */
  onOver: (problem: Problem) => void;
}

/** How long a transport may be disconnected before its server is asked after: a server's lease lasts 5 s. */
const SILENT_MS = 4_000;

/** How long a transport is kept beside its successor at most. */
const LONGEST_OVERLAP_MS = 10_000;

export class Carrier {
  #transport: types.Transport | undefined;
  /** They go on until `#transport` has taken over. */
  readonly #leaving = new Set<types.Transport>();
  #dirty = false;
  #running = false;
  /** Ends whatever is under way for a transport that is given up. */
  #pass = new AbortController();
  /** Failed passes in a row. */
  #failures = 0;
  /** Transports in a row that found no way to the media server. */
  #fruitless = 0;
  /** A refused order told of a move before its event did: the transport in use, or the next one, is at the new place already. */
  #ahead = false;
  /** What was on the last transport is not yet on a new one. */
  #lost = false;
  /** Some media server carries the meeting, as far as is known. */
  #placed = true;
  /** Transports that the server closed; the event may be here before the answer that names the transport. */
  readonly #gone = new Set<string>();
  #wake = new AbortController();
  readonly #closed = new AbortController();

  constructor(
    private readonly cargo: Cargo,
    private readonly options: CarrierOptions,
  ) {}

  get transport(): types.Transport | undefined {
    return this.#transport;
  }

  /** The transport works, or has nothing to do yet. */
  get working(): boolean {
    const state = this.#transport?.connectionState;
    const broken = state === "disconnected" || state === "failed" || state === "closed";
    return this.#placed && this.#failures === 0 && this.#fruitless === 0 && !this.#lost && !broken;
  }

  /** The cargo's wishes changed. */
  changed(): void {
    this.#dirty = true;
    if (!this.#running) void this.#run();
  }

  /** The server closed this transport; make a new one if it is the one in use. */
  gone(transportId: string): void {
    this.#gone.add(transportId);
    if (this.#transport?.id === transportId) this.restart();
  }

  /** Make a new transport in place of the one in use, or of the one being made. With `keep` the one in use goes on until the new one has taken over. */
  restart(keep = false): void {
    this.#pass.abort();
    this.#pass = new AbortController();
    this.#drop(keep);
    this.#wake.abort();
    this.changed();
  }

  /** The meeting moved; with `keep` its old server goes on for a while. */
  moved(keep: boolean): void {
    this.#placed = true;
    const ahead = this.#ahead;
    this.#ahead = false;
    if (!ahead) this.restart(keep);
  }

  /** No media server carries the meeting: what was here is over, and nothing is tried until the meeting `moved`. */
  unplaced(): void {
    this.#placed = this.#ahead = false;
    this.restart();
  }

  /** The network is back: do not wait for the next try. */
  retryNow(): void {
    this.#wake.abort();
  }

  close(): void {
    this.#closed.abort();
    this.#pass.abort();
    this.#wake.abort();
    this.#drop(false);
    this.#closeLeaving();
  }

  async #run(): Promise<void> {
    this.#running = true;
    while (this.#dirty && this.#placed && !this.#closed.signal.aborted) {
      this.#dirty = false;
      const { signal } = this.#pass;
      try {
        await this.cargo.load(this.#transport ?? (await this.#make(signal)), signal);
        if (!signal.aborted) this.#loaded();
      } catch (error) {
        if (!signal.aborted) await this.#failed(asProblem(error));
      }
      this.options.onState();
    }
    this.#running = false;
  }

  async #make(signal: AbortSignal): Promise<types.Transport> {
    const { seat, device, iceServers } = this.options;
    if (this.#fruitless > 1) await this.#pause(this.#fruitless);
    const made = await seat.recreateTransport(this.cargo.direction, signal);
    if (signal.aborted || this.#gone.has(made.id)) {
      throw new Problem("transport_not_found", -1, "the transport was closed while it was made");
    }
    const parameters = { ...made, iceServers: [...made.iceServers.map(withoutNulls), ...iceServers] };
    const transport =
      this.cargo.direction === "send" ? device.createSendTransport(parameters) : device.createRecvTransport(parameters);
    transport.on("connect", ({ dtlsParameters }, done, failed) => {
      seat.connectTransport(transport.id, dtlsParameters, signal).then(done, failed);
    });
    transport.on("connectionstatechange", (state) => this.#stateChanged(transport, state));
    this.#transport = transport;
    return transport;
  }

  #loaded(): void {
    this.#failures = 0;
    this.#lost = false;
    if (this.#leaving.size > 0) void this.#relieve([...this.#leaving]);
  }

  async #relieve(leaving: types.Transport[]): Promise<void> {
    await Promise.race([this.cargo.relieved(), wait(LONGEST_OVERLAP_MS, this.#closed.signal)]);
    for (const transport of leaving) {
      this.#leaving.delete(transport);
      transport.close();
    }
  }

  #stateChanged(transport: types.Transport, state: types.ConnectionState): void {
    if (transport !== this.#transport) return;
    if (state === "connected") this.#fruitless = 0;
    if (state === "disconnected") void this.#askAfter(transport);
    if (state === "failed" || state === "closed") {
      this.#fruitless += 1;
      const { direction } = this.cargo;
      this.options.onProblem(new Problem("media_unreachable", -1, `no connection to the media server (${direction})`));
      this.restart();
    }
    this.options.onState();
  }

  /** A transport that stays silent may have lost its server: asking for the seat finds out sooner than ICE gives up. */
  async #askAfter(transport: types.Transport): Promise<void> {
    await wait(SILENT_MS, this.#closed.signal);
    const silent = transport === this.#transport && transport.connectionState === "disconnected";
    if (silent && !this.#closed.signal.aborted) await this.#renewSeat();
  }

  async #failed(problem: Problem): Promise<void> {
    if (this.#closed.signal.aborted) return;
    if (problem.over) return this.options.onOver(problem);
    this.#dirty = true;
    this.#failures += 1;
    this.#ahead ||= problem.code === "stale_epoch";
    this.#drop(problem.code === "stale_epoch"); // the old server may go on until everybody has followed
    this.options.onState();
    if (!problem.transportGone) this.options.onProblem(problem);
    const doubtful = this.#failures > 1 || problem.code === "media_server_unavailable";
    if (doubtful) void this.#renewSeat();
    await this.#pause(this.#failures);
  }

  /** Joining again tells whether the seat still stands, and has the meeting placed anew if its server died. */
  async #renewSeat(): Promise<void> {
    try {
      await this.options.seat.renew();
    } catch (error) {
      const problem = asProblem(error);
      if (problem.over && !this.#closed.signal.aborted) this.options.onOver(problem);
    }
  }

  /** Wait before the next try, longer after each: `tries` in a row were in vain. */
  async #pause(tries: number): Promise<void> {
    this.#wake = new AbortController();
    if (!this.#closed.signal.aborted) await wait(tries > 1 ? backoff(tries - 2) : 50, this.#wake.signal);
  }

  #drop(keep: boolean): void {
    const transport = this.#transport;
    this.#transport = undefined;
    if (!transport) return;
    const goesOn = keep && transport.connectionState === "connected";
    this.cargo.lost(goesOn);
    if (goesOn) return void this.#leaving.add(transport);
    this.#lost = true;
    transport.close();
  }

  #closeLeaving(): void {
    for (const transport of this.#leaving) transport.close();
    this.#leaving.clear();
  }
}

/** A browser would take a `null` user name for the name "null". */
function withoutNulls(server: RTCIceServer): RTCIceServer {
  return Object.fromEntries(Object.entries(server).filter(([, value]) => value !== null)) as unknown as RTCIceServer;
}

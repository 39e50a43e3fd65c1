/** The HTTP API in memory, for the client's own tests: one meeting, no media, failures on demand. Give `fetch` to `join`. */

import * as fakeParameters from "mediasoup-client/fakeParameters";

interface Producer {
  id: string;
  participantId: string;
  kind: string;
  paused: boolean;
  appData: object;
}

interface Asked {
  method: string;
  path: string;
  body: Record<string, unknown>;
  key: string | null;
  token: string;
  lastEventId: number;
}

type Refusal = { status: number; code: string; retryAfter?: number } | "network" | "silence" | "lost answer" | "half an answer";
type Route = (asked: Asked, ids: string[]) => [status: number, body?: object];

export class FakeGateway {
  readonly asked: Asked[] = [];
  readonly participants = new Map<string, string>();
  readonly transports = new Map<string, { participantId: string; direction: string }>();
  readonly producers = new Map<string, Producer>();
  readonly consumers = new Map<string, { producerId: string; resumed: boolean }>();
  epoch = 1;
  placed = true;
  readonly events: { id: number; type: string; body: object }[] = [];
  #streams = new Set<ReadableStreamDefaultController<Uint8Array>>();
  #answers = new Map<string, Response>();
  #refusals: { path: RegExp; refusal: Refusal }[] = [];
  #ids = 0;

  /** Refuse the next request whose "METHOD path" matches. */
  refuse(path: RegExp, refusal: Refusal): void {
    this.#refusals.push({ path, refusal });
  }

  /** Let an event happen; `silently` is one that streams lose. */
  happen(type: string, body: object, silently = false): number {
    const id = (this.events.at(-1)?.id ?? 0) + 1;
    this.events.push({ id, type, body });
    if (!silently) this.say(type, body, id);
    return id;
  }

  /** Write to every open stream, whatever the log says. */
  say(type: string, body: object, id: number | null): void {
    for (const stream of this.#streams) stream.enqueue(encode(type, body, id));
  }

  hangUp(): void {
    for (const stream of this.#streams) if (this.#streams.delete(stream)) stream.close();
  }

  joins(participantId: string, displayName = participantId): void {
    this.participants.set(participantId, displayName);
    this.happen("ParticipantJoined", { participantId, displayName });
  }

  produces(participantId: string, kind = "audio"): string {
    const producer = { id: this.#id("producer"), participantId, kind, paused: false, appData: {} };
    this.producers.set(producer.id, producer);
    this.happen("ProducerCreated", { ...producer, producerId: producer.id });
    return producer.id;
  }

  closes(producerId: string, reason = "closed"): void {
    const participantId = this.producers.get(producerId)?.participantId;
    this.producers.delete(producerId);
    this.happen("ProducerClosed", { producerId, participantId, reason });
  }

  /** The meeting goes on elsewhere: nothing that was sent or received is there. */
  moves(keepUntil: string | null = null, silently = false): void {
    this.#begins(true);
    this.happen("MeetingMoved", { mediaServerId: `server-${this.epoch}`, epoch: this.epoch, keepUntil }, silently);
  }

  /** The meeting's server is gone, and no other has room. */
  losesItsPlace(silently = false): void {
    this.#begins(false);
    this.happen("MeetingUnplaced", { epoch: this.epoch }, silently);
  }

  /** Somebody creates the meeting again, which has no place. */
  isCreatedAgain(): void {
    this.#begins(true);
    this.happen("MeetingCreated", { mediaServerId: `server-${this.epoch}`, epoch: this.epoch, capacity: {} });
  }

  #begins(placed: boolean): void {
    this.epoch += 1;
    this.placed = placed;
    for (const things of [this.transports, this.producers, this.consumers]) things.clear();
  }

  readonly fetch = async (input: RequestInfo | URL, init: RequestInit = {}): Promise<Response> => {
    const asked = read(input, init);
    this.asked.push(asked);
    const name = `${asked.method} ${asked.path}`;
    const at = this.#refusals.findIndex(({ path }) => path.test(name));
    const refusal = at < 0 ? undefined : this.#refusals.splice(at, 1)[0]?.refusal;
    if (refusal === "network") throw new TypeError("network is away");
    if (refusal === "silence") return silence(init.signal ?? undefined);
    if (typeof refusal === "object") return problem(refusal.status, refusal.code, refusal.retryAfter);
    if (asked.path.endsWith("/events")) return this.#stream(asked.lastEventId, init.signal ?? undefined);
    const known = this.#answers.get(asked.key ?? "");
    const answer = known ?? this.#answer(asked, name);
    if (asked.key) this.#answers.set(asked.key, answer);
    if (refusal === "lost answer") throw new TypeError("the answer was lost");
    if (refusal === "half an answer") return new Response((await answer.clone().text()).slice(0, 20), { status: answer.status });
    return answer.clone();
  };

  #answer(asked: Asked, name: string): Response {
    for (const [pattern, route] of this.#routes) {
      const match = pattern.exec(name);
      if (!match) continue;
      const [status, body] = route(asked, match.slice(1));
      return status >= 400 ? problem(status, (body as { code: string }).code) : new Response(body ? JSON.stringify(body) : null, { status });
    }
    return problem(404, "not_found");
  }

  readonly #routes: [RegExp, Route][] = [
    [/^POST \/v1\/meetings$/, ({ body }) => [201, { meetingId: body["meetingId"] }]],
    [/^POST .*\/join$/, ({ body }) => this.#join(body)],
    [/^POST .*\/leave$/, () => [204]],
    [/^GET \/v1\/meetings\/[^/]+$/, () => [200, this.#details()]],
    [/^POST .*\/participants\/(.+)\/transports$/, ({ body }, [participant]) => this.#transport(participant ?? "", body)],
    [/^POST .*\/connect$/, () => [204]],
    [/^POST .*\/participants\/(.+)\/producers$/, ({ body }, [participant]) => this.#produce(participant ?? "", body)],
    [/^DELETE .*\/producers\/(.+)$/, (_, [id]) => (this.closes(id ?? ""), [204])],
    [/^POST .*\/producers\/(.+)\/(pause|resume)$/, (_, [id, verb]) => this.#pause(id ?? "", verb === "pause")],
    [/^POST .*\/consumers$/, ({ body }) => this.#consume(String(body["producerId"]))],
    [/^POST .*\/consumers\/(.+)\/resume$/, (_, [id]) => (Object.assign(this.consumers.get(id ?? "") ?? {}, { resumed: true }), [204])],
    [/^DELETE .*\/consumers\/(.+)$/, (_, [id]) => (this.consumers.delete(id ?? ""), [204])],
  ];

  #join(body: Record<string, unknown>): [number, object] {
    const id = String(body["participantId"]);
    if (!this.participants.has(id)) this.joins(id, String(body["displayName"] ?? id));
    const rtpCapabilities = fakeParameters.generateRouterRtpCapabilities();
    return [200, { participantToken: `seat-of-${id}`, rtpCapabilities, routerId: "router", epoch: this.epoch, ...this.#snapshot() }];
  }

  #details(): object {
    const state = this.placed ? "placed" : "unplaced";
    return { state, epoch: this.epoch, ...this.#snapshot(), ownTransports: this.#transportsOf("me") };
  }

  #snapshot(): object {
    const participants = [...this.participants].map(([participantId, displayName]) => ({ participantId, displayName }));
    return { participants, producers: [...this.producers.values()], lastEventId: this.events.at(-1)?.id ?? 0 };
  }

  #transportsOf(participantId: string): object[] {
    return [...this.transports].filter(([, of]) => of.participantId === participantId).map(([id, { direction }]) => ({ id, direction }));
  }

  #transport(participantId: string, { direction }: Record<string, unknown>): [number, object] {
    if (!this.placed) return [503, { code: "no_capacity" }];
    const old = [...this.transports].filter(([, of]) => of.participantId === participantId && of.direction === direction);
    for (const [id] of old) this.transports.delete(id);
    if (direction === "send") for (const { id, participantId: of } of [...this.producers.values()]) if (of === participantId) this.closes(id, "recreated");
    if (direction === "recv") this.consumers.clear();
    const made = { ...fakeParameters.generateTransportRemoteParameters(), id: this.#id("transport"), iceServers: [] };
    this.transports.set(made.id, { participantId, direction: String(direction) });
    return [201, made];
  }

  #produce(participantId: string, body: Record<string, unknown>): [number, object] {
    if (!this.transports.has(String(body["transportId"]))) return [404, { code: "transport_not_found" }];
    const id = this.produces(participantId, String(body["kind"]));
    Object.assign(this.producers.get(id) ?? {}, { paused: body["paused"] });
    return [201, { id }];
  }

  #pause(id: string, paused: boolean): [number] {
    const producer = this.producers.get(id);
    if (producer) producer.paused = paused;
    this.happen(paused ? "ProducerPaused" : "ProducerResumed", { producerId: id, participantId: producer?.participantId });
    return [204];
  }

  #consume(producerId: string): [number, object] {
    const producer = this.producers.get(producerId);
    if (!producer) return [404, { code: "producer_not_found" }];
    const id = this.#id("consumer");
    this.consumers.set(id, { producerId, resumed: false });
    const codecMimeType = producer.kind === "audio" ? "audio/opus" : "video/VP8";
    const { kind, rtpParameters } = fakeParameters.generateConsumerRemoteParameters({ id, codecMimeType });
    return [201, { id, producerId, kind, rtpParameters, type: "simple", producerPaused: producer.paused }];
  }

  #stream(after: number, signal?: AbortSignal): Response {
    const missed = this.events.filter((event) => event.id > after);
    const body = new ReadableStream<Uint8Array>({
      start: (stream) => {
        for (const { type, body, id } of missed) stream.enqueue(encode(type, body, id));
        this.#streams.add(stream);
        signal?.addEventListener("abort", () => this.#streams.delete(stream) && stream.error(signal.reason));
      },
    });
    return new Response(body, { headers: { "Content-Type": "text/event-stream" } });
  }

  #id(noun: string): string {
    return `${noun}-${(this.#ids += 1)}`;
  }
}

function read(input: RequestInfo | URL, init: RequestInit): Asked {
  const headers = new Headers(init.headers);
  const body = JSON.parse(typeof init.body === "string" ? init.body : "{}") as Record<string, unknown>;
  const token = headers.get("Authorization")?.replace("Bearer ", "") ?? "";
  const lastEventId = Number(headers.get("Last-Event-ID") ?? 0);
  return { method: init.method ?? "GET", path: new URL(String(input)).pathname, body, key: headers.get("Idempotency-Key"), token, lastEventId };
}

function problem(status: number, code: string, retryAfter = 0.01): Response {
  return new Response(JSON.stringify({ status, code, detail: code }), { status, headers: { "Retry-After": String(retryAfter) } });
}

/** No answer, until the caller gives up. */
function silence(signal?: AbortSignal): Promise<Response> {
  return new Promise((_, reject) => signal?.addEventListener("abort", () => reject(signal.reason as Error)));
}

function encode(type: string, body: object, id: number | null): Uint8Array {
  const lines = [`event: ${type}`, ...(id === null ? [] : [`id: ${id}`]), `data: ${JSON.stringify(body)}`, "", ""];
  return new TextEncoder().encode(lines.join("\n"));
}

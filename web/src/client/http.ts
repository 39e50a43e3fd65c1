/**
 * HTTP to the gateway. Every POST carries an Idempotency-Key and is repeated with the same key while its outcome is unknown
 * or the server says "later", within a bound; so it has its effect once.
 */

import { asProblem, Problem, problemOf } from "./problem";
import { randomId } from "./random";
import { backoff, between, wait } from "./waiting";

export interface ApiOptions {
  fetch?: typeof globalThis.fetch;
  /** Milliseconds that one request is repeated for. */
  patience?: number;
}

/** How long, and how eagerly, a request is repeated. */
export interface Persistence {
  /** Milliseconds, in place of the usual ones. */
  patience?: number;
  /** Do not wait as long as an absent media server's answer says: after a move another one is about to be there. */
  soon?: boolean;
}

/** The gateway answers within 4.5 s; a try that takes longer is lost. */
const TRY_MS = 6_000;

export class Api {
  readonly #urls: string[];
  /** The gateway that is asked: the next one when it does not answer. */
  #at = 0;
  readonly #fetch: typeof globalThis.fetch;
  readonly #patience: number;

  /** `url` is the gateway's origin, with or without a trailing slash; of several the next is asked when one does not answer. */
  constructor(url: string | string[], { fetch = globalThis.fetch.bind(globalThis), patience = 12_000 }: ApiOptions = {}) {
    this.#urls = [url].flat().map((one) => one.replace(/\/+$/, ""));
    this.#fetch = fetch;
    this.#patience = patience;
  }

  get<T>(path: string, token: string, signal?: AbortSignal): Promise<T> {
    return this.#repeated("GET", path, token, undefined, signal);
  }

  post<T = void>(path: string, token: string, body: object = {}, signal?: AbortSignal, persistence?: Persistence): Promise<T> {
    return this.#repeated("POST", path, token, body, signal, persistence);
  }

  delete(path: string, token: string, signal?: AbortSignal): Promise<void> {
    return this.#repeated("DELETE", path, token, undefined, signal);
  }

  /** Send a POST that outlives the page; nobody waits for its answer. */
  farewell(path: string, token: string): void {
    const headers = { ...authorization(token), "Content-Type": "application/json", "Idempotency-Key": randomId() };
    this.#fetch(this.#urls[this.#at] + path, { method: "POST", headers, body: "{}", keepalive: true }).catch(() => undefined);
  }

  /** Open a stream of server-sent events; raises Problem unless it is one. */
  async events(path: string, token: string, lastEventId: number, signal: AbortSignal): Promise<ReadableStream<Uint8Array>> {
    const headers = { ...authorization(token), Accept: "text/event-stream", "Last-Event-ID": String(lastEventId) };
    const at = this.#at;
    const opened = this.#fetch(this.#urls[at] + path, { headers, signal, cache: "no-store" });
    const response = await opened.catch((error: unknown) => this.#unanswered(at, error));
    if (!response.ok || !response.body) throw await problemOf(response);
    return response.body;
  }

  async #repeated<T>(
    method: string,
    path: string,
    token: string,
    body?: object,
    signal?: AbortSignal,
    { patience = this.#patience, soon = false }: Persistence = {},
  ): Promise<T> {
    const headers: Record<string, string> = authorization(token);
    if (method === "POST") headers["Idempotency-Key"] = randomId();
    if (body) headers["Content-Type"] = "application/json";
    const until = Date.now() + patience;
    for (let tries = 0; ; tries += 1) {
      try {
        return await this.#once<T>(method, path, headers, body, signal);
      } catch (error) {
        const problem = asProblem(error);
        const delay = pause(problem, tries, soon);
        if (signal?.aborted || !problem.repeatable || Date.now() + delay > until) throw problem;
        await wait(delay, signal);
      }
    }
  }

  async #once<T>(method: string, path: string, headers: HeadersInit, body: object | undefined, signal?: AbortSignal): Promise<T> {
    const limit = AbortSignal.timeout(TRY_MS);
    const request: RequestInit = { method, headers, signal: signal ? AbortSignal.any([signal, limit]) : limit };
    if (body) request.body = JSON.stringify(body);
    const at = this.#at;
    const unanswered = (error: unknown): never => this.#unanswered(at, error);
    const response = await this.#fetch(this.#urls[at] + path, request).catch(unanswered);
    if (!response.ok) throw await problemOf(response);
    return (response.status === 204 ? undefined : await response.json().catch(unanswered)) as T;
  }

  /** No answer, or half of one: the outcome is unknown. */
  #unanswered(at: number, error: unknown): never {
    if (this.#at === at) this.#at = (at + 1) % this.#urls.length;
    throw new Problem("network", 0, error instanceof Error ? error.message : String(error));
  }
}

/** Milliseconds until the next try. */
function pause(problem: Problem, tries: number, soon: boolean): number {
  if (soon && problem.code === "media_server_unavailable") return between(100, 300);
  return problem.retryAfter ? problem.retryAfter * 1000 : backoff(tries);
}

function authorization(token: string): Record<string, string> {
  return { Authorization: `Bearer ${token}` };
}

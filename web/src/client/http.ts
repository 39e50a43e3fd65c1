/**
 * HTTP to the gateway. Every POST carries an Idempotency-Key and is repeated with the same key while its outcome is unknown
 * or the server says "later", within a bound; so it has its effect once.
 */

import { asProblem, Problem, problemOf } from "./problem";
import { randomId } from "./random";
import { backoff, wait } from "./waiting";

export interface ApiOptions {
  fetch?: typeof globalThis.fetch;
  /** Milliseconds that one request is repeated for. */
  patience?: number;
}

/** The gateway answers within 4.5 s; a try that takes longer is lost. */
const TRY_MS = 6_000;

export class Api {
  readonly #url: string;
  readonly #fetch: typeof globalThis.fetch;
  readonly #patience: number;

  /** `url` is the gateway's origin, with or without a trailing slash. */
  constructor(url: string, { fetch = globalThis.fetch.bind(globalThis), patience = 12_000 }: ApiOptions = {}) {
    this.#url = url.replace(/\/+$/, "");
    this.#fetch = fetch;
    this.#patience = patience;
  }

  get<T>(path: string, token: string, signal?: AbortSignal): Promise<T> {
    return this.#repeated("GET", path, token, undefined, signal);
  }

  /** `patience` in milliseconds, in place of the usual one. */
  post<T = void>(path: string, token: string, body: object = {}, signal?: AbortSignal, patience?: number): Promise<T> {
    return this.#repeated("POST", path, token, body, signal, patience);
  }

  delete(path: string, token: string, signal?: AbortSignal): Promise<void> {
    return this.#repeated("DELETE", path, token, undefined, signal);
  }

  /** Send a POST that outlives the page; nobody waits for its answer. */
  farewell(path: string, token: string): void {
    const headers = { ...authorization(token), "Content-Type": "application/json", "Idempotency-Key": randomId() };
    this.#fetch(this.#url + path, { method: "POST", headers, body: "{}", keepalive: true }).catch(() => undefined);
  }

  /** Open a stream of server-sent events; raises Problem unless it is one. */
  async events(path: string, token: string, lastEventId: number, signal: AbortSignal): Promise<ReadableStream<Uint8Array>> {
    const headers = { ...authorization(token), Accept: "text/event-stream", "Last-Event-ID": String(lastEventId) };
    const response = await this.#fetch(this.#url + path, { headers, signal, cache: "no-store" });
    if (!response.ok || !response.body) throw await problemOf(response);
    return response.body;
  }

  async #repeated<T>(
    method: string,
    path: string,
    token: string,
    body?: object,
    signal?: AbortSignal,
    patience = this.#patience,
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
        const delay = problem.retryAfter ? problem.retryAfter * 1000 : backoff(tries);
        if (signal?.aborted || !problem.repeatable || Date.now() + delay > until) throw problem;
        await wait(delay, signal);
      }
    }
  }

  async #once<T>(method: string, path: string, headers: HeadersInit, body: object | undefined, signal?: AbortSignal): Promise<T> {
    const limit = AbortSignal.timeout(TRY_MS);
    const request: RequestInit = { method, headers, signal: signal ? AbortSignal.any([signal, limit]) : limit };
    if (body) request.body = JSON.stringify(body);
    const response = await this.#fetch(this.#url + path, request).catch(unanswered);
    if (!response.ok) throw await problemOf(response);
    return (response.status === 204 ? undefined : await response.json().catch(unanswered)) as T;
  }
}

/** No answer, or half of one: the outcome is unknown. */
function unanswered(error: unknown): never {
  throw new Problem("network", 0, error instanceof Error ? error.message : String(error));
}

function authorization(token: string): Record<string, string> {
  return { Authorization: `Bearer ${token}` };
}

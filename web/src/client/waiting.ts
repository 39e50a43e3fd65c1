/** Waiting: pauses that a signal ends, delays that grow. */

/** Wait `ms` milliseconds, or until `signal` aborts; never rejects. */
export function wait(ms: number, signal?: AbortSignal): Promise<void> {
  if (signal?.aborted) return Promise.resolve();
  return new Promise((done) => {
    const end = (): void => {
      clearTimeout(timer);
      signal?.removeEventListener("abort", end);
      done();
    };
    const timer = setTimeout(end, ms);
    signal?.addEventListener("abort", end);
  });
}

/** Milliseconds before the next try: 250, 500, 1000 … 5000, give or take a quarter, so that clients do not return in step. */
export function backoff(tries: number): number {
  return Math.min(5_000, 250 * 2 ** Math.min(tries, 10)) * (0.75 + Math.random() / 2);
}

/** A random number of milliseconds from `least` to `most`, so that clients do not come in step. */
export function between(least: number, most: number): number {
  return least + Math.random() * (most - least);
}

/** What went wrong, by the API's stable codes, and what a client can do about it. */

/** The caller's seat or the meeting is over: nothing can be repeated with this token. */
const OVER = new Set(["stale_instance", "meeting_not_found", "participant_not_found", "unauthenticated"]);

/** The transport that a request named is gone; a new one repairs it. */
const TRANSPORT_GONE = new Set(["transport_not_found", "stale_epoch"]);

const REPEATABLE = new Set([429, 502, 503, 504]);

/** A request was refused, or never answered (`status` 0, code `network`). */
export class Problem extends Error {
  override readonly name = "Problem";

  constructor(
    readonly code: string,
    readonly status: number,
    detail: string,
    /** Seconds that the server asked to wait, if it did. */
    readonly retryAfter?: number,
  ) {
    super(detail);
  }

  /** The same request, with the same key, may succeed later. */
  get repeatable(): boolean {
    return this.status === 0 || REPEATABLE.has(this.status);
  }

  /** The seat or the meeting is over. */
  get over(): boolean {
    return OVER.has(this.code);
  }

  /** A new transport repairs it. */
  get transportGone(): boolean {
    return TRANSPORT_GONE.has(this.code);
  }
}

/** Swallow that a thing is gone already; raise what concerns more than that thing. */
export function unlessGone(error: unknown): void {
  const problem = asProblem(error);
  if (problem.over || problem.transportGone || problem.repeatable) throw problem;
}

/** Return the problem that an HTTP error answer describes (RFC 9457). */
export async function problemOf(response: Response): Promise<Problem> {
  const body: unknown = await response.json().catch(() => null);
  const { code, detail, title } = (body ?? {}) as Record<string, unknown>;
  const retryAfter = Number(response.headers.get("Retry-After") ?? Number.NaN);
  return new Problem(
    typeof code === "string" ? code : `http_${response.status}`,
    response.status,
    typeof detail === "string" ? detail : typeof title === "string" ? title : `HTTP ${response.status}`,
    Number.isFinite(retryAfter) ? retryAfter : undefined,
  );
}

/** Return anything thrown as a problem. */
export function asProblem(error: unknown): Problem {
  if (error instanceof Problem) return error;
  return new Problem("client", -1, error instanceof Error ? error.message : String(error));
}

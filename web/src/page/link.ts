/** The link that brought the visitor here: `#token=…`, perhaps `&meeting=…` and `&codec=…`. A fragment never leaves the browser. */

import { claimsOf } from "../client";

export interface Invitation {
  token: string;
  meeting: string;
  /** The token may start the meeting. */
  mayCreate: boolean;
  /** Preferred video codec, e.g. `AV1`. */
  codec: string | undefined;
}

/** Return the invitation in a URL's fragment, or the sentence that says what is wrong with it. */
export function invitationOf(fragment: string): Invitation | string {
  const fields = new URLSearchParams(fragment.replace(/^#/, ""));
  const token = fields.get("token");
  if (!token) return "This address has no invitation. Open the link that you were given, with everything after the “#”.";
  const { meeting: named, grants } = claimsOf(token);
  const meeting = named === "*" ? fields.get("meeting") : named;
  if (typeof meeting !== "string" || meeting === "") return "This invitation names no meeting. Ask for a new link.";
  const mayCreate = Array.isArray(grants) && grants.includes("create");
  return { token, meeting, mayCreate, codec: fields.get("codec") ?? undefined };
}

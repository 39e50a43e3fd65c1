/** The page's fixed elements, by id. */

/** Return the element; its absence is a mistake in index.html. */
export function byId<Type extends HTMLElement = HTMLElement>(id: string): Type {
  const element = document.getElementById(id);
  if (!element) throw new Error(`index.html has no #${id}`);
  return element as Type;
}

export type Screen = "prejoin" | "joining" | "call" | "over";

/** Show one screen; style sheet and screen readers follow `data-state`. */
export function show(screen: Screen): void {
  document.body.dataset["state"] = screen;
}

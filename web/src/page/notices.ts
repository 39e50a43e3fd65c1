/** What is shown above everything else: one banner for the state of the connection, a list of alerts that can be dismissed. */

import { byId } from "./elements";

/** Show `text` as the banner, or nothing. */
export function banner(text: string | null): void {
  const element = byId("banner");
  element.hidden = text === null;
  element.textContent = text ?? "";
}

/** Show an alert until it is dismissed or `dismiss`ed; another one of the same `key` takes its place. */
export function alert(key: string, text: string): void {
  dismiss(key);
  const item = document.createElement("li");
  item.dataset["key"] = key;
  const words = document.createElement("span");
  words.textContent = text;
  const close = document.createElement("button");
  close.type = "button";
  close.textContent = "Dismiss";
  close.addEventListener("click", () => item.remove());
  item.append(words, close);
  byId("alerts").append(item);
}

export function dismiss(key: string): void {
  for (const item of [...byId("alerts").children]) if ((item as HTMLElement).dataset["key"] === key) item.remove();
}

export function dismissAll(): void {
  byId("alerts").replaceChildren();
}

/** Puts data into markup the server rendered. Text is always text: nothing here parses HTML. */

export function setText(node, value) {
  const text = value ?? "";
  if (node.textContent !== text) node.textContent = text;
}

export function setAttribute(node, name, value) {
  if (value === null || value === undefined) node.removeAttribute(name);
  else if (node.getAttribute(name) !== String(value)) node.setAttribute(name, value);
}

/** Fill all `data-text`, `data-time` and `data-chip` places of a node from fields of `data`. */
export function fill(node, data) {
  for (const place of node.querySelectorAll("[data-text]")) setText(place, data[place.dataset.text]);
  for (const place of node.querySelectorAll("[data-time]")) setTime(place, data[place.dataset.time]);
  for (const place of node.querySelectorAll("[data-chip]")) setChip(place, data[place.dataset.chip]);
}

export function setChip(node, chip) {
  setAttribute(node, "data-tone", chip.tone);
  setIcon(node, chip.shape);
  setText(node.querySelector(".word"), chip.word);
}

export function setIcon(node, shape) {
  const use = node.querySelector("use");
  const [sheet] = use.getAttribute("href").split("#");
  setAttribute(use, "href", `${sheet}#${shape}`);
}

export function setPicture(image, picture) {
  image.hidden = !picture;
  setAttribute(image, "src", picture?.url);
}

const clock = new Intl.DateTimeFormat(undefined, { hour: "numeric", minute: "2-digit" });
const day = new Intl.DateTimeFormat(undefined, { day: "numeric", month: "short" });
const exact = new Intl.DateTimeFormat(undefined, { dateStyle: "medium", timeStyle: "medium" });

/** Show a moment in the reader's own zone and habit: the clock today, else the day. */
export function setTime(node, iso) {
  const moment = new Date(iso);
  if (Number.isNaN(moment.getTime())) return;
  const isToday = moment.toDateString() === new Date().toDateString();
  setText(node, (isToday ? clock : day).format(moment));
  setAttribute(node, "datetime", iso);
  setAttribute(node, "title", exact.format(moment));
}

export function localiseTimes(root = document) {
  for (const node of root.querySelectorAll("time[datetime]")) setTime(node, node.dateTime);
}

export const clockNow = () => clock.format(new Date());

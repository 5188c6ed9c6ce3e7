/** The Queue page: keeps lanes and rows as they are now, and carries out Cancel, Delete, Send again. */

import { api } from "./api.js";
import { confirm } from "./dialog.js";
import { fill, localiseTimes, setAttribute, setPicture, setText } from "./fill.js";
import { busy } from "./form.js";
import { Live } from "./live.js";
import { toast, toastError } from "./toast.js";

const list = document.getElementById("list");
const lanes = document.getElementById("lanes");
const news = document.getElementById("news");
const rowTemplate = document.getElementById("row-template");
const laneTemplate = document.getElementById("lane-template");
const number = new Intl.NumberFormat("en");
const canHover = matchMedia("(hover: hover)");

let latest = null;
let announced = null;

// --- showing -------------------------------------------------------------------------

function show(now) {
  latest = now;
  showCounts(now);
  showLanes(now.lanes);
  showRows(now.sections, { mayMove: !isInUse() });
  showEmpty(now);
  announce(now.counts);
}

function showCounts(now) {
  setText(document.querySelector("[data-summary]"), now.summary);
  for (const place of document.querySelectorAll("[data-count]")) {
    setText(place, number.format(now.counts[place.dataset.count]));
  }
  const unfinished = now.counts.waiting + now.counts.generating;
  setText(document.querySelector("[data-unfinished]"), number.format(unfinished));
  const failedMark = document.querySelector("[data-tab=failed] .icon");
  failedMark.toggleAttribute("hidden", !now.counts.failed);
  const missing = document.getElementById("missing");
  missing.hidden = !now.missing.length;
  setText(missing.querySelector("span"), now.missing.join(", "));
  const held = document.getElementById("held");
  held.hidden = !now.held;
  setText(held.querySelector("span"), now.held);
}

function showLanes(data) {
  place(lanes, data.map((lane) => keyed(lanes, lane.alias, laneTemplate, lane, fillLane)));
}

function fillLane(node, lane) {
  fill(node, lane);
  node.querySelector(".lane-picture").hidden = lane.troubled;
  node.querySelector(".lane-note").hidden = !lane.troubled;
  node.querySelector("[data-idle]").hidden = lane.running || lane.troubled;
  node.querySelector(".caption").hidden = !lane.picture;
  setPicture(node.querySelector("img"), lane.picture);
  const bar = node.querySelector("progress");
  bar.hidden = lane.troubled;
  setAttribute(bar, "value", lane.progress);
  setAttribute(bar, "aria-label", `Progress on ${lane.alias}`);
}

/** While somebody points at the list, rows change their text but neither come, go nor move. */
function showRows(sections, { mayMove }) {
  let waiting = 0;
  for (const section of sections) {
    const box = list.querySelector(`[data-name="${section.name}"]`);
    const rows = box.querySelector("ul");
    setText(box.querySelector(".count"), number.format(section.total));
    if (!mayMove) {
      for (const row of section.rows) {
        const node = nodeOf(list, row.id);
        if (node) fillRow(node, row);
        else waiting += 1;
      }
      continue;
    }
    place(rows, section.rows.map((row) => keyed(list, row.id, rowTemplate, row, fillRow)));
    const rest = section.total - section.rows.length;
    box.querySelector(".rest").hidden = rest <= 0;
    setText(box.querySelector(".rest"), `and ${number.format(rest)} more`);
    box.hidden = !section.total;
  }
  news.hidden = !waiting;
  setText(news, `${waiting} new`);
}

function fillRow(node, row) {
  fill(node, row);
  setAttribute(node, "data-status", row.status);
  setPicture(node.querySelector(".row-frame img"), row.picture);
  const outline = node.querySelector(".row-frame svg");
  outline.toggleAttribute("hidden", Boolean(row.picture));
  setAttribute(outline, "width", row.frame_width);
  setAttribute(outline, "height", row.frame_height);
  const more = node.querySelector("[data-more]");
  more.hidden = row.pictures < 2;
  setText(more, String(row.pictures));
  const isOpen = row.status === "pending" || row.status === "processing";
  const short = row.prompt.slice(0, 120);
  node.querySelector("[data-act=retry]").hidden = row.status !== "failed";
  for (const [act, word, shown] of [["cancel", "Cancel", isOpen], ["delete", "Delete", !isOpen]]) {
    const button = node.querySelector(`[data-act=${act}]`);
    button.hidden = !shown;
    setAttribute(button, "aria-label", `${word}: ${short}`);
  }
}

const EMPTY = {
  all: ["Nothing in the queue", "Ask for a picture and watch it here."],
  waiting: ["Nothing waits", "New jobs appear here until it is their turn."],
  generating: ["Nothing is being drawn", "The servers are free."],
  failed: ["Nothing failed", "A job that fails appears here with its reason."],
  completed: ["Nothing is finished yet", "Pictures appear here as soon as they are saved."],
};

function showEmpty(now) {
  const isFirst = !now.lanes.length && !now.counts.all;
  document.getElementById("first-steps").hidden = !isFirst;
  document.getElementById("tabs").hidden = isFirst;
  list.hidden = isFirst;
  const [title, text] = EMPTY[list.dataset.show];
  const box = document.getElementById("no-rows");
  box.hidden = now.sections.some((section) => section.total);
  setText(box.querySelector("h2"), title);
  setText(box.querySelector("p"), now.lanes.length ? text : "Add a server first: see Servers.");
}

// --- keyed nodes ---------------------------------------------------------------------

function nodeOf(parent, id) {
  return parent.querySelector(`[data-id="${CSS.escape(id)}"]`);
}

function keyed(parent, id, template, data, fillNode) {
  let node = nodeOf(parent, id);
  if (!node) {
    node = template.content.firstElementChild.cloneNode(true);
    node.dataset.id = id;
  }
  fillNode(node, data);
  return node;
}

/** Make the nodes the children of a parent, touching only what is out of place. */
function place(parent, nodes) {
  const kept = new Set(nodes);
  for (const child of [...parent.children]) if (!kept.has(child)) child.remove();
  nodes.forEach((node, index) => {
    if (parent.children[index] !== node) parent.insertBefore(node, parent.children[index] ?? null);
  });
}

function isInUse() {
  return list.contains(document.activeElement) || (canHover.matches && list.matches(":hover"));
}

/** Tell screen readers of milestones, gathered over five seconds. */
function announce(counts) {
  const now = Date.now();
  if (announced && now - announced.at < 5_000) return;
  const gained = (name) => (announced ? counts[name] - announced.counts[name] : 0);
  const words = [["completed", "completed"], ["failed", "failed"]]
    .filter(([name]) => gained(name) > 0)
    .map(([name, word]) => `${gained(name)} ${gained(name) === 1 ? "job" : "jobs"} ${word}`);
  if (words.length) setText(document.getElementById("announcements"), words.join(", "));
  announced = { at: now, counts };
}

// --- acting --------------------------------------------------------------------------

const acts = {
  async cancel(id) {
    await api.cancelJob(id);
    toast("Job cancelled.", { action: { text: "Send again", run: () => act("again", id) } });
  },
  async retry(id) {
    await api.retryJob(id);
    toast("The job is tried again.");
  },
  async again(id) {
    await api.sendAgain(id);
    toast("Sent again as a new job.");
  },
  async delete(id, row) {
    const pictures = row.pictures === 1 ? "its picture" : `its ${row.pictures} pictures`;
    const yes = await confirm({
      title: row.pictures ? `Delete this job and ${pictures}?` : "Delete this job?",
      text: row.pictures
        ? "The files are removed from the disk. This can’t be undone."
        : "Its settings and its reason go with it. It has no pictures.",
      yes: "Delete",
    });
    if (yes) await api.deleteJob(id);
  },
};

async function act(name, id, row) {
  try {
    await acts[name](id, row);
  } catch (error) {
    toastError(error);
  }
  await live.now();
  if (latest) showRows(latest.sections, { mayMove: true });
}

async function retryAll() {
  try {
    const { message, left } = await api.retryFailed();
    toast(left ? `${message} ${number.format(left)} are left.` : message);
  } catch (error) {
    toastError(error);
  }
  await live.now();
}

list.addEventListener("click", (event) => {
  const all = event.target.closest("[data-retry-all]");
  if (all) busy(all, retryAll);
  const button = event.target.closest("[data-act]");
  if (!button) return;
  const node = button.closest(".row");
  const pictures = Number(node.querySelector("[data-more]").textContent) || 0;
  busy(button, () => act(button.dataset.act, node.dataset.id, { pictures }));
});
news.addEventListener("click", () => showRows(latest.sections, { mayMove: true }));

localiseTimes();
const live = new Live({
  look: () => api.queueNow(list.dataset.show),
  show,
  banner: document.getElementById("lost"),
});
live.now();

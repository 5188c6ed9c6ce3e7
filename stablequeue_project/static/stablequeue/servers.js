/** The Servers page: add, edit, remove; and what the last look at each server found. */

import { api } from "./api.js";
import { closeByScrim, confirm } from "./dialog.js";
import { fill } from "./fill.js";
import { busy, clearProblems, onSubmit, valuesOf } from "./form.js";
import { Live } from "./live.js";
import { openPanel } from "./panel.js";
import { toastError } from "./toast.js";

const addForm = document.getElementById("add-form");
const editDialog = document.getElementById("edit");
const editForm = editDialog.querySelector("form");
const FIELDS = ["alias", "apiUrl", "description", "username"];
let edited = null;

onSubmit(addForm, async () => {
  await api.addServer(valuesOf(addForm));
  location.assign("/servers");
});

function edit(card) {
  edited = card;
  editForm.reset();
  clearProblems(editForm);
  const known = { ...card.dataset, apiUrl: card.dataset.address };
  for (const name of FIELDS) {
    const field = editForm.elements[`edit-${name}`];
    field.value = field.defaultValue = known[name];
  }
  editForm.elements["edit-password"].placeholder = known.username ? "unchanged" : "";
  editForm.querySelector("details").open = Boolean(known.username);
  document.getElementById("edit-title").textContent = `Edit ${known.alias}`;
  editDialog.showModal();
}

/** Only what was changed is sent: an emptied user name drops the login, an empty password keeps it. */
function changes() {
  const change = {};
  for (const name of FIELDS) {
    const field = editForm.elements[`edit-${name}`];
    if (field.value.trim() !== field.defaultValue) change[name] = field.value.trim();
  }
  const password = editForm.elements["edit-password"].value;
  if (password) change.password = password;
  return change;
}

onSubmit(editForm, async () => {
  const change = changes();
  if (Object.keys(change).length) await api.changeServer(edited.dataset.alias, change);
  location.reload();
});
editDialog.querySelector("[data-close]").onclick = () => editDialog.close();
closeByScrim(editDialog);

async function remove(card) {
  const { alias, waiting } = card.dataset;
  const jobs = waiting === "1" ? "1 job waits" : `${waiting} jobs wait`;
  const held = waiting === "0" ? "No job waits for it." : `${jobs} for it; nothing is lost, but they are held until you add ${alias} again or cancel them.`;
  const yes = await confirm({
    title: `Remove ${alias}?`,
    text: `${held} What it draws now is finished. Pictures it drew stay.`,
    yes: "Remove",
  });
  if (!yes) return;
  try {
    await api.removeServer(alias);
    location.assign("/servers");
  } catch (error) {
    toastError(error);
  }
}

/** Pause, drain or resume; how it stands then comes with the next look. */
async function steer(card, verb) {
  try {
    await api.steerServer(card.dataset.alias, verb);
  } catch (error) {
    toastError(error);
  }
  await live.now();
}

document.getElementById("servers").addEventListener("click", (event) => {
  const button = event.target.closest("[data-act]");
  if (!button) return;
  const card = button.closest(".server");
  const { act } = button.dataset;
  if (act === "edit") edit(card);
  else if (act === "remove") remove(card);
  else busy(button, () => steer(card, act));
});

function showLanes({ lanes }) {
  const byAlias = new Map(lanes.map((lane) => [lane.alias, lane]));
  for (const card of document.querySelectorAll(".server")) {
    const lane = byAlias.get(card.dataset.alias);
    if (!lane) continue;
    fill(card, lane);
    card.dataset.edge = lane.chip.tone;
    card.dataset.waiting = lane.waiting_count;
    for (const [act, shown] of [["resume", lane.stopped], ["pause", !lane.stopped], ["drain", !lane.stopped]]) {
      card.querySelector(`[data-act=${act}]`).hidden = !shown;
    }
  }
}

openPanel();
const live = new Live({
  look: () => api.queueNow("generating"),
  show: showLanes,
  banner: document.getElementById("lost"),
});

/** The API Keys page: create (the secret is shown once), switch on and off, delete. */

import { api } from "./api.js";
import { confirm } from "./dialog.js";
import { localiseTimes, setIcon } from "./fill.js";
import { onSubmit, valuesOf } from "./form.js";
import { openPanel } from "./panel.js";
import { toast, toastError } from "./toast.js";

const addForm = document.getElementById("add-form");
const ready = document.getElementById("ready");
const stored = document.getElementById("stored");
const done = document.getElementById("ready-done");
let values = {};

onSubmit(addForm, async () => {
  const { api_key: made } = await api.createKey(valuesOf(addForm));
  showOnce(made);
});

function showOnce({ name, key, secret }) {
  values = { key, secret, address: location.origin, both: `${key}\n${secret}` };
  values.curl = curl(values);
  document.getElementById("ready-title").textContent = `Key “${name}” is ready`;
  for (const place of ready.querySelectorAll("[data-value]")) {
    place.textContent = values[place.dataset.value];
  }
  ready.showModal();
}

function curl({ address, key, secret }) {
  const body = {
    target_server_alias: ready.dataset.exampleAlias,
    generation_params: { positive_prompt: "a lighthouse at dusk" },
  };
  // A quote inside the body would end the shell's own quotes.
  const quoted = JSON.stringify(body).replaceAll("'", "'\\''");
  return [
    `curl ${address}/api/v1/generate`,
    `-H "X-API-Key: ${key}"`,
    `-H "X-API-Secret: ${secret}"`,
    '-H "Content-Type: application/json"',
    `-d '${quoted}'`,
  ].join(" \\\n  ");
}

/** Browsers hand out the clipboard on https and localhost only; elsewhere an old way is left. */
async function copy(text) {
  if (navigator.clipboard) return navigator.clipboard.writeText(text);
  const area = document.createElement("textarea");
  area.value = text;
  area.className = "for-readers";
  // Inside the dialog: all else is inert while it is open.
  ready.append(area);
  area.select();
  const copied = document.execCommand("copy");
  area.remove();
  if (!copied) throw new Error("not copied");
}

ready.addEventListener("click", async (event) => {
  const button = event.target.closest("[data-copy]");
  if (!button) return;
  const what = button.dataset.copy;
  try {
    await copy(values[what]);
  } catch {
    selectValue(what);
    toast("The browser does not allow copying. The text is selected: press Ctrl+C.", { error: true });
    return;
  }
  button.querySelector("span").textContent = "Copied";
  button.classList.add("copied");
  setIcon(button, "check");
  if (what !== "key" && what !== "address") done.disabled = false;
  button.focus();
});

function selectValue(what) {
  const place = ready.querySelector(`[data-value="${what}"]`) ?? ready.querySelector("[data-value=secret]");
  getSelection().selectAllChildren(place);
}

stored.onchange = () => {
  done.disabled = !stored.checked && !ready.querySelector(".copied");
};
done.onclick = () => ready.close();
// Esc must not throw away what can't be shown again.
ready.addEventListener("cancel", (event) => done.disabled && event.preventDefault());
ready.addEventListener("close", () => location.assign("/keys"));

async function switchKey(box, row) {
  try {
    await api.changeKey(row.dataset.keyId, { is_active: box.checked });
    row.toggleAttribute("data-off", !box.checked);
  } catch (error) {
    box.checked = !box.checked;
    toastError(error);
  }
}

async function remove(row) {
  const yes = await confirm({
    title: `Delete the key “${row.dataset.name}”?`,
    text: "Programs that use it are refused from now on. Jobs they sent stay. To stop them for a while, switch the key off instead.",
    yes: "Delete",
  });
  if (!yes) return;
  try {
    await api.deleteKey(row.dataset.keyId);
    location.assign("/keys");
  } catch (error) {
    toastError(error);
  }
}

const keys = document.getElementById("keys");
keys?.addEventListener("change", (event) => switchKey(event.target, event.target.closest(".key")));
keys?.addEventListener("click", (event) => {
  const button = event.target.closest("[data-act=delete]");
  if (button) remove(button.closest(".key"));
});

localiseTimes();
openPanel();

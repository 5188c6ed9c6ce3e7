/** The Create page: sizes, the sum, and sending a job. */

import { api } from "./api.js";
import { onSubmit, valuesOf } from "./form.js";
import { toast } from "./toast.js";

const NUMBERS = ["width", "height", "steps", "cfg_scale", "num_images"];
const form = document.getElementById("create");

function parametersOf(values) {
  const { target_server_alias: server, size, ...parameters } = values;
  for (const name of NUMBERS) {
    if (name in parameters) parameters[name] = asNumber(parameters[name]);
  }
  return { server, parameters };
}

/** What is no number goes as it is: the server's sentence names the field. */
function asNumber(text) {
  const number = Number(text);
  return Number.isFinite(number) ? number : text;
}

async function send() {
  const { server, parameters } = parametersOf(valuesOf(form));
  await api.generate(server, parameters);
  toast(`Added to the queue of ${server}.`, { link: { text: "Show the queue", url: "/" } });
}

function chooseSize() {
  const [width, height] = form.elements.size.value.split("x");
  if (!height) {
    form.elements.width.focus();
    return;
  }
  form.elements.width.value = width;
  form.elements.height.value = height;
}

function matchSize() {
  const typed = `${form.elements.width.value}x${form.elements.height.value}`;
  const tiles = [...form.elements.size];
  (tiles.find((tile) => tile.value === typed) ?? tiles.at(-1)).checked = true;
}

function showSum() {
  const pictures = Number(form.elements.num_images.value) || 1;
  form.querySelector("[data-sum]").textContent = pictures;
  form.querySelector("[data-sum-noun]").textContent = pictures === 1 ? "picture" : "pictures";
  const size = `${form.elements.width.value} × ${form.elements.height.value}`;
  form.querySelector("[data-size]").textContent = size;
}

if (form) {
  onSubmit(form, send);
  form.addEventListener("input", (event) => {
    if (event.target.name === "size") chooseSize();
    if (["width", "height"].includes(event.target.name)) matchSize();
    showSum();
  });
  form.addEventListener("keydown", (event) => {
    if (event.key === "Enter" && (event.ctrlKey || event.metaKey)) form.requestSubmit();
  });
  // A browser that comes back keeps what was typed.
  matchSize();
  showSum();
}

/** The Gallery: a viewer over the tiles, with prompt, recipe and download. */

import { api } from "./api.js";
import { closeByScrim } from "./dialog.js";
import { setTime } from "./fill.js";

const viewer = document.getElementById("viewer");
const image = viewer.querySelector("img");
const links = [...document.querySelectorAll("#tiles a")];
let index = 0;

const RECIPE = [
  ["Checkpoint", (parameters) => parameters.checkpoint_name ?? parameters.sd_checkpoint],
  ["Not seen", (parameters) => parameters.negative_prompt],
  ["Steps", (parameters) => parameters.steps],
  ["CFG", (parameters) => parameters.cfg_scale],
  ["Sampler", (parameters) => parameters.sampler_name],
  ["Scheduler", (parameters) => parameters.scheduler],
];

async function open(at) {
  index = Math.min(Math.max(at, 0), links.length - 1);
  const link = links[index];
  const thumbnail = link.querySelector("img");
  image.src = link.href;
  image.alt = thumbnail.alt;
  viewer.querySelector("[data-download]").href = link.href;
  viewer.querySelector("[data-open]").href = link.href;
  viewer.querySelector("[data-prompt]").textContent = thumbnail.alt;
  viewer.querySelector("dl").replaceChildren();
  for (const button of viewer.querySelectorAll("[data-step]")) {
    button.disabled = !links[index + Number(button.dataset.step)];
  }
  if (!viewer.open) viewer.showModal();
  await showRecipe(link);
}

async function showRecipe(link) {
  let job;
  try {
    job = await api.job(link.dataset.job);
  } catch (error) {
    if (link === links[index]) describe([["Recipe", error.message]]);
    return;
  }
  if (link !== links[index]) return;
  const parameters = job.generation_params;
  viewer.querySelector("[data-prompt]").textContent = parameters.positive_prompt ?? parameters.prompt;
  const drawn = document.createElement("time");
  setTime(drawn, job.completion_timestamp);
  describe([
    ["Server", job.target_server_alias],
    ["Finished", drawn],
    ["Size", image.naturalWidth ? `${image.naturalWidth} × ${image.naturalHeight}` : ""],
    ...RECIPE.map(([name, read]) => [name, read(parameters)]),
    ["Seed", job.seed],
  ]);
}

function describe(entries) {
  const nodes = entries
    .filter(([, value]) => value !== undefined && value !== null && value !== "")
    .flatMap(([name, value]) => [element("dt", name), element("dd", value)]);
  viewer.querySelector("dl").replaceChildren(...nodes);
}

function element(name, content) {
  const node = document.createElement(name);
  node.append(content instanceof Node ? content : String(content));
  return node;
}

document.getElementById("tiles").addEventListener("click", (event) => {
  const link = event.target.closest("a");
  if (!link || event.ctrlKey || event.metaKey || event.shiftKey || event.button) return;
  event.preventDefault();
  open(links.indexOf(link));
});
document.addEventListener("error", (event) => event.target.closest?.(".tile")?.classList.add("gone"), true);
viewer.addEventListener("keydown", (event) => {
  const step = { ArrowLeft: -1, ArrowRight: 1 }[event.key];
  if (step && links[index + step]) open(index + step);
});
for (const button of viewer.querySelectorAll("[data-step]")) {
  button.onclick = () => open(index + Number(button.dataset.step));
}
viewer.querySelector("[data-close]").onclick = () => viewer.close();
viewer.addEventListener("close", () => links[index].focus());
closeByScrim(viewer);

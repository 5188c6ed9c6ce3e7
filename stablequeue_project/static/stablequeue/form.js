/** Forms: the problems of fields beside the fields, and no second press while one is under way. */

import { setIcon } from "./fill.js";

/** Run `send` when the form is submitted, one at a time; show what it complains about. */
export function onSubmit(form, send) {
  form.addEventListener("submit", async (event) => {
    event.preventDefault();
    const button = form.querySelector("[type=submit]");
    if (button.getAttribute("aria-busy") === "true") return;
    clearProblems(form);
    button.setAttribute("aria-busy", "true");
    try {
      await send();
    } catch (error) {
      showProblems(form, error);
    } finally {
      button.removeAttribute("aria-busy");
    }
  });
}

/** Give a button an action that can't be started twice. */
export async function busy(button, run) {
  if (button.getAttribute("aria-busy") === "true") return;
  button.setAttribute("aria-busy", "true");
  try {
    await run();
  } finally {
    button.removeAttribute("aria-busy");
  }
}

/** The trimmed values of a form's fields without a prefix, those left empty not among them. */
export function valuesOf(form, prefix = "") {
  const values = {};
  for (const [name, value] of new FormData(form)) {
    if (value.trim()) values[name.slice(prefix.length)] = value.trim();
  }
  return values;
}

export function clearProblems(form) {
  for (const field of form.querySelectorAll("[aria-invalid]")) {
    field.removeAttribute("aria-invalid");
    field.removeAttribute("aria-describedby");
  }
  for (const old of form.querySelectorAll(".field .problem")) old.remove();
  form.querySelector(".form-problem").hidden = true;
}

function showProblems(form, error) {
  const rest = [];
  for (const [path, sentences] of Object.entries(error.fields ?? {})) {
    const name = path.split(".").pop();
    const field = form.elements[name] ?? form.elements[`edit-${name}`];
    if (field instanceof HTMLElement) showProblem(field, sentences.join(" "));
    else rest.push(`${name}: ${sentences.join(" ")}`);
  }
  const first = form.querySelector("[aria-invalid]");
  first?.closest("details")?.setAttribute("open", "");
  first?.focus();
  if (!first || rest.length) {
    const place = form.querySelector(".form-problem");
    place.textContent = first ? rest.join(" ") : [error.message, ...rest].join(" ");
    place.hidden = false;
  }
}

function showProblem(field, text) {
  const problem = document.createElement("p");
  const icon = document.querySelector("svg.icon:has(use)").cloneNode(true);
  problem.className = "problem";
  problem.id = `${field.id}-problem`;
  problem.append(icon, text);
  setIcon(problem, "failed");
  field.setAttribute("aria-invalid", "true");
  field.setAttribute("aria-describedby", problem.id);
  field.closest(".field").append(problem);
}

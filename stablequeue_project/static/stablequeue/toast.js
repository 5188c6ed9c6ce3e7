/** One toast at a time. It leaves after 8 s unless pointed at; errors stay until closed. */

import { setIcon } from "./fill.js";

const LIFE_MS = 8_000;
const place = document.getElementById("toasts");
let timer;

export function toast(text, { error = false, link, action } = {}) {
  const made = document.getElementById("toast-template").content.cloneNode(true);
  const node = made.querySelector(".toast");
  node.querySelector("p").textContent = text;
  if (error) {
    node.dataset.tone = "failed";
    node.setAttribute("role", "alert");
    setIcon(node, "failed");
  }
  if (link) reveal(node.querySelector("a"), link.text).href = link.url;
  if (action) {
    reveal(node.querySelector("[data-act]"), action.text).onclick = () => {
      close();
      action.run();
    };
  }
  node.querySelector("[data-close]").onclick = close;
  clearTimeout(timer);
  place.replaceChildren(node);
  // The top layer, so that it stands over an open dialog too.
  place.hidePopover?.();
  place.showPopover?.();
  if (!error) leaveLater(node);
}

/** Say what went wrong with what was tried. */
export const toastError = (error) => toast(error.message, { error: true });

function reveal(node, text) {
  node.hidden = false;
  node.textContent = text;
  return node;
}

function leaveLater(node) {
  const wait = () => {
    clearTimeout(timer);
    timer = setTimeout(close, LIFE_MS);
  };
  const stay = () => clearTimeout(timer);
  node.onpointerenter = stay;
  node.onfocusin = stay;
  node.onpointerleave = wait;
  node.onfocusout = wait;
  wait();
}

function close() {
  clearTimeout(timer);
  place.hidePopover?.();
  place.replaceChildren();
}

/** The form at the top of a page that a button opens, or the address with #add. */

export function openPanel() {
  const panel = document.getElementById("add");
  const opener = document.getElementById("show-add");
  const toggle = (isOpen) => {
    panel.hidden = !isOpen;
    opener?.setAttribute("aria-expanded", String(isOpen));
    if (isOpen) panel.querySelector("input").focus();
    else opener?.focus();
  };
  if (opener) {
    opener.onclick = () => toggle(panel.hidden);
    document.getElementById("hide-add").onclick = () => toggle(false);
  }
  if (location.hash === "#add") toggle(true);
}

/** Dialogs: a question that names what is lost, and closing by the scrim. */

/** Ask; true if the person says yes. */
export function confirm({ title, text, yes }) {
  const dialog = document.getElementById("confirm");
  dialog.querySelector("h2").textContent = title;
  dialog.querySelector("p").textContent = text;
  dialog.querySelector("[value=yes]").textContent = yes;
  dialog.returnValue = "";
  dialog.showModal();
  closeByScrim(dialog);
  return new Promise((resolve) => {
    dialog.addEventListener("close", () => resolve(dialog.returnValue === "yes"), { once: true });
  });
}

/** Let a press beside the dialog close it, unless something was typed into it. */
export function closeByScrim(dialog) {
  dialog.onclick = (event) => {
    if (event.target !== dialog || isTyped(dialog)) return;
    const box = dialog.getBoundingClientRect();
    const inside =
      event.clientX >= box.left && event.clientX <= box.right &&
      event.clientY >= box.top && event.clientY <= box.bottom;
    if (!inside) dialog.close();
  };
}

function isTyped(dialog) {
  return [...dialog.querySelectorAll("input, textarea")].some(
    (field) => field.value !== field.defaultValue,
  );
}

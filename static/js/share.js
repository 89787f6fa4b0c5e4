// The share panel: the address of this server in place of its stand-in, and a button that copies each field.

const STAND_IN = "http://SERVER";

/** @param {HTMLElement} panel */
export function mount(panel) {
  const status = panel.querySelector("[role=status]");
  for (const field of panel.querySelectorAll("textarea")) {
    field.value = field.value.replaceAll(STAND_IN, window.location.origin);
    const button = document.createElement("button");
    const name = field.parentElement?.querySelector("b")?.textContent ?? "";
    button.type = "button";
    button.textContent = "Copy";
    button.setAttribute("aria-label", `Copy ${name}`);
    button.addEventListener("click", async () => {
      try {
        await navigator.clipboard.writeText(field.value);
        if (status) status.textContent = `${name} copied`;
      } catch {
        field.select();
        if (status) status.textContent = "The browser does not allow copying here: the text is selected";
      }
    });
    field.parentElement?.append(button);
  }
  panel.addEventListener("keydown", (event) => {
    if (event.key !== "Escape") return;
    panel.removeAttribute("open");
    panel.querySelector("summary")?.focus();
  });
}

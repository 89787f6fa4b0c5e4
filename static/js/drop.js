// An image that is dropped on the form, pasted on the page, or chosen, is sent at once.

/** @param {HTMLElement} form */
export function mount(form) {
  const field = form.querySelector("input[type=file]");
  if (!(form instanceof HTMLFormElement) || !(field instanceof HTMLInputElement)) return;

  /** @param {FileList | null | undefined} files */
  const take = (files) => {
    const image = [...(files ?? [])].find((file) => file.type.startsWith("image/"));
    if (!image) return;
    const holder = new DataTransfer();
    holder.items.add(image);
    field.files = holder.files;
    form.requestSubmit();
  };

  form.addEventListener("dragover", (event) => {
    event.preventDefault();
    form.classList.add("over");
  });
  form.addEventListener("dragleave", () => form.classList.remove("over"));
  form.addEventListener("drop", (event) => {
    event.preventDefault();
    form.classList.remove("over");
    take(event.dataTransfer?.files);
  });
  document.addEventListener("paste", (event) => take(event.clipboardData?.files));
  field.addEventListener("change", () => {
    if (field.files?.length) form.requestSubmit();
  });
}

// Fetches the next and the previous page while this one is looked at, unless the visitor saves data.

const WAIT_MS = 400;

/** @param {HTMLElement} root */
export function mount(root) {
  const connection = /** @type {{connection?: {saveData?: boolean, effectiveType?: string}}} */ (navigator).connection;
  if (connection?.saveData || /2g$/.test(connection?.effectiveType ?? "")) return;
  const addresses = new Set([...root.querySelectorAll("a[rel=next], a[rel=prev]")].map((link) => link.getAttribute("href")));
  const begin = () => {
    for (const address of addresses) {
      if (!address?.startsWith("/")) continue;
      const link = document.createElement("link");
      link.rel = "prefetch";
      link.href = address;
      document.head.append(link);
    }
  };
  const wait = () => window.setTimeout(begin, WAIT_MS);
  if (document.readyState === "complete") wait();
  else window.addEventListener("load", wait, { once: true });
}

// Lists the sections of a long page beside it, and marks the one that is read. The page works without it.

/** @param {HTMLElement} nav */
export function mount(nav) {
  const headings = [...document.querySelectorAll("main section[aria-labelledby] > h2[id], main section[aria-labelledby] > .section-head > h2[id]")];
  const list = document.createElement("ol");
  /** @type {Map<Element, HTMLAnchorElement>} */
  const links = new Map();
  for (const heading of headings) {
    const link = document.createElement("a");
    link.href = `#${heading.id}`;
    link.textContent = heading.textContent;
    link.addEventListener("click", (event) => go(event, heading));
    const item = document.createElement("li");
    item.append(link);
    list.append(item);
    links.set(heading, link);
  }
  nav.append(list);

  const mark = () => {
    const tops = headings.map((heading) => heading.getBoundingClientRect().top);
    const lowest = Math.max(...tops.filter((top) => top < window.innerHeight / 3));
    const current = headings[Math.max(0, tops.findIndex((top) => Math.abs(top - lowest) < 4))];
    for (const [heading, link] of links) {
      if (heading === current) link.setAttribute("aria-current", "true");
      else link.removeAttribute("aria-current");
    }
  };
  let isAsked = false;
  document.addEventListener(
    "scroll",
    () => {
      if (isAsked) return;
      isAsked = true;
      requestAnimationFrame(() => {
        isAsked = false;
        mark();
      });
    },
    { passive: true },
  );
  mark();
}

/** Go to a section without a step in the history: Back leads to the page before.
 * @param {Event} event
 * @param {Element} heading */
function go(event, heading) {
  event.preventDefault();
  history.replaceState(history.state, "", `#${heading.id}`);
  heading.scrollIntoView();
  if (heading instanceof HTMLElement) {
    heading.tabIndex = -1;
    heading.focus({ preventScroll: true });
  }
}

// Where in its examples a unit is active: pointing at an example, walking to it by keyboard or tapping it lays its activation
// map over the photograph and marks its activation in the histogram; a button shows all maps. The maps of a unit are one
// file, fetched when first wanted. Nothing on the page moves.

const SVG = "http://www.w3.org/2000/svg";

/** @param {HTMLElement} bar */
export function mount(bar) {
  const button = bar.querySelector("button");
  const { image = "", width = "0", height = "0" } = bar.dataset;
  /** @type {HTMLAnchorElement[]} */
  const tiles = [...document.querySelectorAll("a.tile")].filter((tile) => tile instanceof HTMLAnchorElement);
  let isPinned = false;
  /** @type {HTMLAnchorElement | null} */
  let tapped = null;

  /** @param {HTMLAnchorElement} tile @param {boolean} isShown */
  const lay = (tile, isShown) => {
    const picture = tile.querySelector("svg");
    if (!picture) return;
    let map = picture.querySelector(".heat");
    if (!map && isShown) {
      map = document.createElementNS(SVG, "image");
      map.setAttribute("class", "heat");
      map.setAttribute("width", width);
      map.setAttribute("height", height);
      map.setAttribute("href", image);
      picture.querySelector("image")?.after(map);
    }
    map?.toggleAttribute("hidden", !(isShown || isPinned));
  };

  /** @param {HTMLAnchorElement} tile @param {boolean} isShown */
  const show = (tile, isShown) => {
    lay(tile, isShown);
    const place = tile.querySelector("svg")?.getAttribute("viewBox") ?? "";
    for (const mark of document.querySelectorAll(".histogram [data-tile]")) {
      if (mark.getAttribute("data-tile") === place) mark.classList.toggle("current", isShown);
    }
  };

  for (const tile of tiles) {
    tile.addEventListener("pointerenter", (event) => {
      if (event.pointerType !== "touch") show(tile, true);
    });
    tile.addEventListener("pointerleave", (event) => {
      if (event.pointerType !== "touch") show(tile, false);
    });
    tile.addEventListener("focus", () => show(tile, true));
    tile.addEventListener("blur", () => {
      show(tile, false);
      if (tapped === tile) tapped = null;
    });
    // The first tap shows, the second follows the link.
    tile.addEventListener("click", (event) => {
      const isTouch = event instanceof PointerEvent && event.pointerType === "touch";
      if (!isTouch || tapped === tile) return;
      event.preventDefault();
      if (tapped) show(tapped, false);
      tapped = tile;
      tile.focus({ preventScroll: true });
      show(tile, true);
    });
  }

  button?.addEventListener("click", () => {
    isPinned = !isPinned;
    button.setAttribute("aria-pressed", String(isPinned));
    for (const tile of tiles) lay(tile, isPinned);
  });
}

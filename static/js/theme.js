// Runs before the page is painted, so that a chosen theme does not flash. A classic script: modules run too late.
(() => {
  const root = document.documentElement;
  root.dataset.js = "";
  try {
    const chosen = localStorage.getItem("theme");
    if (chosen === "light" || chosen === "dark") root.dataset.theme = chosen;
  } catch {
    // Storage may be forbidden; the system's choice then stays.
  }
})();

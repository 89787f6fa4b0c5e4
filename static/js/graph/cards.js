// A card: its picture and name, a link to the unit, and what can be done with it.

import { h, icon, picture, tail } from "./dom.js";

/** @param {any} card @param {boolean} isEmbed */
export function makeCard({ name, unit }, isEmbed) {
  const outside = isEmbed ? { target: "_blank", rel: "noopener" } : {};
  const words = h("span", {}, h("b", {}, String(unit.unit)), " ", h("span", { class: "quiet" }, tail(unit.layer, 18)));
  if (unit.label) words.append(" ", h("span", { class: "glabel" }, unit.label));
  words.append(h("span", { class: "gstate hidden" }));
  const who = h("a", { class: "gwho", href: unit.links.html, draggable: "false", ...outside, "data-who": true }, picture(unit.sprite, "", 56), words);
  const element = h("div", { class: "gcard", "data-card": name, role: "group", "aria-label": `${unit.layer} unit ${unit.unit}` });
  if (unit.has_inputs) element.append(h("button", { class: "gtoggle in", type: "button", "data-toggle": "inputs" }));
  element.append(who);
  if (!unit.is_start) {
    const buttons = [["pin", "Pin"], ["hide", "Hide"]].map(([list, title]) => h("button", { type: "button", "data-toggle": list, title: `${title} (${list[0]})`, "aria-label": `${title} ${unit.layer} ${unit.unit}` }, icon(list)));
    element.append(h("span", { class: "gmini" }, ...buttons));
  }
  if (unit.has_outputs) element.append(h("button", { class: "gtoggle out", type: "button", "data-toggle": "outputs" }));
  return element;
}

/** @param {HTMLElement} element @param {any} card @param {boolean} isCurrent */
export function refreshCard(element, { unit }, isCurrent) {
  element.classList.toggle("start", unit.is_start);
  element.classList.toggle("pinned", unit.is_pinned);
  const state = element.querySelector(".gstate");
  if (state) state.textContent = `${unit.is_start ? ", the start" : ""}${unit.is_pinned ? ", pinned" : ""}`;
  for (const button of element.querySelectorAll("[data-toggle]")) {
    const list = button.getAttribute("data-toggle");
    if (list === "inputs" || list === "outputs") {
      const isOpen = unit[`${list}_unfolded`];
      button.textContent = isOpen ? "−" : "+";
      button.setAttribute("aria-expanded", String(isOpen));
      button.setAttribute("aria-label", `${isOpen ? "Fold" : "Unfold"} ${list} of ${unit.layer} ${unit.unit}`);
      button.setAttribute("title", `${isOpen ? "Fold" : "Unfold"} ${list} (${list[0]})`);
    } else if (list === "pin") {
      button.setAttribute("aria-pressed", String(unit.is_pinned));
    }
  }
  setStop(element, isCurrent);
}

/** Only one card at a time is reached by Tab; arrows lead to the others.
 * @param {HTMLElement} element @param {boolean} isCurrent */
export function setStop(element, isCurrent) {
  for (const part of element.querySelectorAll("a, button")) part.setAttribute("tabindex", isCurrent ? "0" : "-1");
}

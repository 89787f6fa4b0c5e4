// Files of the picture: SVG with everything inside it, PNG through a canvas.

import { fill, SVG } from "./dom.js";
import { sceneOf } from "./scene.js";

const MOST_SIDE = 12000;
const MOST_PIXELS = 64e6;

/** @param {import("./scene.js").Scene} scene @returns {Blob} */
function svgFile(scene) {
  const { width, height } = scene;
  // A document of its own: in the page, pictures inside the file would be loaded, which the page forbids.
  const paper = document.implementation.createDocument(SVG, "svg");
  const s = (/** @type {string} */ name, /** @type {Record<string, any>} */ attributes, /** @type {string[]} */ ...words) => fill(paper.createElementNS(SVG, name), attributes, words);
  const root = s("svg", { width, height, viewBox: `0 0 ${width} ${height}`, "font-family": scene.font });
  root.append(s("rect", { width, height, fill: scene.ground }));
  for (const shape of scene.shapes) {
    if (shape.kind === "path") {
      root.append(s("path", { d: shape.d, fill: "none", stroke: shape.stroke, "stroke-width": shape.width, "stroke-opacity": shape.opacity }));
    } else if (shape.kind === "rect") {
      const { x, y, radius, fill, opacity, stroke } = shape;
      root.append(s("rect", { x, y, width: shape.width, height: shape.height, rx: radius || null, fill, "fill-opacity": opacity < 1 ? opacity : null, stroke, "stroke-width": stroke ? shape.border : null }));
    } else if (shape.kind === "image") {
      root.append(s("image", { x: shape.x, y: shape.y, width: shape.size, height: shape.size, href: shape.picture.toDataURL("image/png") }));
    } else {
      root.append(s("text", { x: shape.x, y: shape.y, fill: shape.fill, "font-size": shape.size, "font-weight": shape.weight }, shape.text));
    }
  }
  return new Blob(['<?xml version="1.0" encoding="UTF-8"?>\n', new XMLSerializer().serializeToString(root)], { type: "image/svg+xml" });
}

/** Twice as large as on the screen, or as large as a canvas can be.
 * @param {import("./scene.js").Scene} scene @returns {Promise<Blob>} */
async function pngFile(scene) {
  const { width, height } = scene;
  const scale = Math.min(2, MOST_SIDE / Math.max(width, height), Math.sqrt(MOST_PIXELS / (width * height)));
  const canvas = document.createElement("canvas");
  Object.assign(canvas, { width: Math.round(width * scale), height: Math.round(height * scale) });
  const pen = /** @type {CanvasRenderingContext2D} */ (canvas.getContext("2d"));
  pen.scale(scale, scale);
  pen.fillStyle = scene.ground;
  pen.fillRect(0, 0, width, height);
  for (const shape of scene.shapes) draw(pen, shape, scene.font);
  return new Promise((resolve, reject) => {
    canvas.toBlob((blob) => (blob ? resolve(blob) : reject(new Error("The picture is too large for a PNG here. Export SVG instead."))), "image/png");
  });
}

/** @param {CanvasRenderingContext2D} pen @param {any} shape @param {string} font */
function draw(pen, shape, font) {
  pen.globalAlpha = shape.opacity ?? 1;
  if (shape.kind === "path") {
    pen.strokeStyle = shape.stroke;
    pen.lineWidth = shape.width;
    pen.stroke(new Path2D(shape.d));
  } else if (shape.kind === "rect") {
    pen.beginPath();
    pen.roundRect(shape.x, shape.y, shape.width, shape.height, shape.radius);
    pen.fillStyle = shape.fill;
    pen.fill();
    if (shape.stroke) {
      pen.strokeStyle = shape.stroke;
      pen.lineWidth = shape.border;
      pen.stroke();
    }
  } else if (shape.kind === "image") {
    pen.drawImage(shape.picture, shape.x, shape.y, shape.size, shape.size);
  } else {
    pen.font = `${shape.weight} ${shape.size}px ${font}`;
    pen.fillStyle = shape.fill;
    pen.fillText(shape.text, shape.x, shape.y);
  }
}

/** Offer a file for saving.
 * @param {Blob} blob @param {string} name */
function save(blob, name) {
  const url = URL.createObjectURL(blob);
  const link = document.createElement("a");
  Object.assign(link, { href: url, download: name });
  document.body.append(link);
  link.click();
  link.remove();
  setTimeout(() => URL.revokeObjectURL(url), 60_000);
}

/** Save the picture as a file.
 * @param {"svg" | "png"} kind @param {any} layout @param {any} page @returns {Promise<string>} what was done */
export async function saveScene(kind, layout, page) {
  const scene = await sceneOf(layout, page);
  save(kind === "svg" ? svgFile(scene) : await pngFile(scene), `weights-${page.layer}-${page.unit}.${kind}`);
  return `${kind.toUpperCase()} saved`;
}

// Presses what the keyboard asks for: every link, button or field with data-key is reached by that key.
// A field takes its letters itself, but for Escape, and Ctrl+Enter, which saves.
"use strict";

const writing = (element) => element.matches("textarea, select, input:not([type=radio])");

const reach = (element) => {
  if (element.dataset.opens) {
    document.getElementById(element.dataset.opens).showModal();
  } else if (element.tagName === "SUMMARY") {
    element.parentElement.open = true;
    (element.parentElement.querySelector("select") ?? element).focus();
  } else if (element.tagName === "INPUT") {
    element.focus();
    element.select();
  } else {
    element.click();
  }
};

const foldAll = () => {
  const folds = [...document.querySelectorAll("article details.fold")];
  const open = folds.some((fold) => !fold.open);
  folds.forEach((fold) => { fold.open = open; });
};

const act = (key) => {
  if (key === "o") {
    foldAll();
    return true;
  }
  const element = document.querySelector(`[data-key="${CSS.escape(key)}"]`);
  if (element) reach(element);
  return Boolean(element);
};

// A key pressed while the next page is on its way is meant for that page.
let underWay = false;
let waiting = [];

const arrived = () => {
  underWay = false;
  if (writing(document.activeElement)) waiting = [];  // those were letters, and must decide nothing
  while (waiting.length && !underWay) act(waiting.shift());
};

document.addEventListener("htmx:beforeRequest", () => { underWay = true; });
document.addEventListener("htmx:afterSettle", arrived);
document.addEventListener("htmx:sendError", () => {
  underWay = false;
  waiting = [];
  const said = document.createElement("p");
  said.className = "problem";
  said.textContent = "The page's process does not answer, and the last key was not stored. Start python -m data.curate again.";
  (document.querySelector(".said") ?? document.querySelector("main")).prepend(said);
});

document.addEventListener("keydown", (event) => {
  if (event.altKey || event.metaKey || event.repeat || document.querySelector("dialog[open]")) return;
  const inside = writing(event.target);
  if (event.ctrlKey) {
    const save = event.key === "Enter" && document.querySelector("[data-save]");
    if (save) save.click();
  } else if (inside) {
    if (event.key === "Escape") event.target.blur();  // what was written is not lost by one key
  } else if (underWay) {
    waiting.push(event.key);
    event.preventDefault();
  } else if (act(event.key)) {
    event.preventDefault();
  }
});

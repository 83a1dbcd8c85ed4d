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

document.addEventListener("keydown", (event) => {
  if (event.altKey || event.metaKey || document.querySelector("dialog[open]")) return;
  const inside = writing(event.target);
  if (event.ctrlKey) {
    const save = event.key === "Enter" && document.querySelector("[data-save]");
    if (save) save.click();
    return;
  }
  if (event.key === "Escape" && inside) {  // what was written is not lost by one key
    event.target.blur();
    return;
  }
  if (inside && event.key !== "Escape") return;
  if (event.key === "o") {
    foldAll();
    return;
  }
  const element = document.querySelector(`[data-key="${CSS.escape(event.key)}"]`);
  if (!element) return;
  event.preventDefault();
  reach(element);
});

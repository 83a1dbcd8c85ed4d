// A key presses its button. Keys that come within a moment of a new page were meant for the one before.
const SETTLES = 250;
let sent = false;
setTimeout(() => { document.documentElement.dataset.ready = "yes"; }, SETTLES);

document.addEventListener("submit", (event) => {
  if (sent) event.preventDefault();
  sent = true;
});
window.addEventListener("pageshow", () => { sent = false; });

document.addEventListener("keydown", (event) => {
  if (event.repeat || event.ctrlKey || event.metaKey || event.altKey || event.target.closest("input")) return;
  if (!document.documentElement.dataset.ready) return;
  const button = [...document.querySelectorAll("button[data-keys]")].find(
    (one) => one.dataset.keys.split(" ").includes(event.key.toLowerCase()));
  if (!button || button.disabled) return;
  event.preventDefault();
  button.click();
});

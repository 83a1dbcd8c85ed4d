"use strict";
// The scenarios: filtered, searched, opened with both runs side by side. Text goes in as text, never as markup.
{
  const SIDES = ["base", "adapter"];
  const MOST_WORDS = 1500; // of a text, after its equal ends, up to which the words in between are compared one by one
  const rows = JSON.parse(document.getElementById("data").textContent);
  const at = (id) => document.getElementById(id);
  const [query, show, role] = ["query", "show", "role"].map(at);

  const make = (tag, name, ...children) => {
    const element = document.createElement(tag);
    if (name) element.className = name;
    element.append(...children);
    return element;
  };

  const way = ({ passed: [before, after] }) => (after > before ? "better" : after < before ? "worse" : "same");

  const KINDS = {
    better: (row) => way(row) === "better",
    worse: (row) => way(row) === "worse",
    failures: (row) => row.passed[1] < row.samples.length,
    forbidden: (row) => row.samples.some(({ sides }) => sides.some((side) => side.forbidden.length)),
    heldOut: (row) => row.heldOut,
    overlap: (row) => row.overlap,
  };

  // Everything that is said in a scenario, in lower case, made when it is first searched.
  const texts = new Map();
  const textOf = (row) => {
    if (!texts.has(row)) {
      const said = ({ asked, sides }) => [
        asked.map(([, text]) => text),
        sides.map((side) => [side.why, side.forbidden, side.steps.map((step) => [step.answer, step.results]), side.checks.map(([name, , note]) => [name, note])]),
      ];
      texts.set(row, [row.id, row.role, row.family, row.samples.map(said)].flat(Infinity).join("\n").toLowerCase());
    }
    return texts.get(row);
  };

  // Which words stand on one side only: the equal ends first, then the longest common sequence in between.
  const words = (text) => text.match(/\s+|[\p{L}\p{N}_]+|[^\s\p{L}\p{N}_]/gu) || [];

  const common = (one, other) => {
    const lengths = Array.from({ length: one.length + 1 }, () => new Uint16Array(other.length + 1));
    for (let i = one.length - 1; i >= 0; i--)
      for (let j = other.length - 1; j >= 0; j--)
        lengths[i][j] = one[i] === other[j] ? lengths[i + 1][j + 1] + 1 : Math.max(lengths[i + 1][j], lengths[i][j + 1]);
    const kept = [new Set(), new Set()];
    for (let i = 0, j = 0; i < one.length && j < other.length; ) {
      if (one[i] === other[j]) {
        kept[0].add(i++);
        kept[1].add(j++);
      } else if (lengths[i + 1][j] >= lengths[i][j + 1]) i++;
      else j++;
    }
    return kept;
  };

  const compared = (texts) => {
    const [one, other] = texts.map(words);
    let start = 0;
    while (start < one.length && start < other.length && one[start] === other[start]) start++;
    let end = 0;
    while (end < Math.min(one.length, other.length) - start && one[one.length - 1 - end] === other[other.length - 1 - end]) end++;
    const middles = [one.slice(start, one.length - end), other.slice(start, other.length - end)];
    const kept = middles.every((middle) => middle.length <= MOST_WORDS) ? common(...middles) : [new Set(), new Set()];
    return [one, other].map((all, side) => {
      const pieces = [all.slice(0, start).join("")];
      let run = "";
      const close = () => {
        if (run) pieces.push(make("span", `${SIDES[side]}-only`, run));
        run = "";
      };
      middles[side].forEach((word, index) => {
        if (kept[side].has(index)) {
          close();
          pieces.push(word);
        } else run += word;
      });
      close();
      return [...pieces, all.slice(all.length - end).join("")];
    });
  };

  const block = (kind, title, about, ...pieces) => {
    const heading = make("h4", "", make("span", "", title), make("span", "", about));
    return make("div", `text ${kind}`, heading, make("pre", "", ...pieces));
  };

  const cost = ([seconds, prompt, written]) =>
    [`${seconds} s`, prompt === null ? "" : `${prompt.toLocaleString("en")} + ${written === null ? "?" : written.toLocaleString("en")} tokens`].filter(Boolean).join(" · ");

  const drawStep = (steps, number) => {
    const both = steps.every(Boolean) ? compared(steps.map((step) => step.answer)) : steps.map((step) => (step ? [step.answer] : []));
    return steps.map((step, side) => {
      if (!step) return make("div", "text missing", `${SIDES[side]}: no answer ${number + 1}`);
      const cut = step.cut ? " · cut at the token limit" : "";
      const pieces = step.answer ? both[side] : [make("em", "", "an empty answer")];
      const answer = block("answer", `${SIDES[side]}, answer ${number + 1}${cut}`, cost(step.cost), ...pieces);
      return make("div", "", answer, ...step.results.map((result, index) => block("result", `result ${index + 1}`, "", result)));
    });
  };

  const drawCheck = ([name, ok, note, gate, critical, weight]) => {
    const about = [gate ? "gate" : weight === 1 ? "" : `weight ${weight}`, critical ? "" : "not critical"].filter(Boolean).join(", ");
    const mark = make("b", ok ? "yes" : "no", ok ? "✓ holds: " : "✗ fails: ");
    return make("li", "", mark, name, about ? make("em", "", ` (${about})`) : "", note ? ` – ${note}` : "");
  };

  const drawSide = (sample, side) => {
    const word = make("b", sample.passed ? "yes" : "no", sample.passed ? "passed" : "failed");
    const unanswered = sample.unanswered ? ` Commands that found no rule of the simulator: ${sample.unanswered}.` : "";
    const heading = make("h3", "", `${SIDES[side]}: `, word, ` · partial ${sample.partial.toFixed(2)}`);
    const forbidden = sample.forbidden.length ? make("p", "why", make("b", "no", `Forbidden: ${sample.forbidden.join("; ")}`)) : "";
    return make("div", "", heading, make("p", "why", sample.why + unanswered), forbidden, make("ul", "checks", ...sample.checks.map(drawCheck)));
  };

  const drawSample = ({ asked, drawn, sides }) => {
    const values = Object.entries(drawn).map(([name, value]) => `${name} = ${value}`).join(", ");
    const questions = asked.map(([who, text], index) => block("", who, index === 0 && values ? `drawn: ${values}` : "", text));
    const grid = make("div", "both", ...sides.map(drawSide));
    for (let number = 0; number < Math.max(...sides.map((side) => side.steps.length)); number++)
      grid.append(...drawStep(sides.map((side) => side.steps[number]), number));
    return [make("div", "asked", ...questions), grid];
  };

  const drawInside = (row) => {
    const inside = make("div", "inside");
    const content = make("div", "");
    const overlap = row.overlap;
    if (overlap) {
      const share = (value) => `${Math.round(100 * value)} of 100`;
      inside.append(make("p", "why", `Left out of the numbers: ${share(overlap.grams)} of its 13-grams stand in the training rows; its last question is like "${overlap.near}" (${share(overlap.ratio)}).`));
    }
    const buttons = row.samples.map(({ sides }, index) => {
      const button = make("button", "", `sample ${index + 1}: ${sides.map((side) => (side.passed ? "✓" : "✗")).join(" → ")}`);
      button.type = "button";
      button.addEventListener("click", () => open(index));
      return button;
    });
    const open = (index) => {
      buttons.forEach((button, number) => button.setAttribute("aria-pressed", String(number === index)));
      content.replaceChildren(...drawSample(row.samples[index]));
    };
    // Where both runs did the same in the first sample, the first in which they did not says more.
    const telling = row.samples.findIndex(({ sides: [one, other] }) => one.passed !== other.passed);
    inside.append(make("div", "tabs", ...buttons), content);
    open(Math.max(telling, 0));
    return inside;
  };

  const marks = (row, side) => {
    const passed = row.samples.map(({ sides }) => sides[side].passed);
    const dots = passed.map((yes) => make("i", yes ? "yes" : ""));
    return make("span", "marks", ...dots, make("b", "", `${SIDES[side]} ${passed.filter(Boolean).length} of ${passed.length}`));
  };

  const drawRow = (row) => {
    const name = make("span", "name", row.id);
    if (row.forbidden.length) name.append(make("span", "tag bad", "new forbidden action"));
    if (row.overlap) name.append(make("span", "tag warn", "in the training rows"));
    if (row.heldOut) name.append(make("span", "tag", "held out"));
    if (row.samples.some(({ sides }) => sides.some(({ steps }) => steps.some((step) => step.cut)))) name.append(make("span", "tag warn", "cut"));
    const summary = make("summary", "", name, marks(row, 0), marks(row, 1), make("span", `way ${way(row)}`, way(row)));
    summary.title = `${row.role}, family ${row.family}`;
    const scenario = make("details", "scenario", summary);
    scenario.addEventListener("toggle", () => {
      if (scenario.open && !scenario.querySelector(".inside")) scenario.append(drawInside(row));
    });
    return scenario;
  };

  const drawn = new Map();
  const filter = () => {
    const wanted = query.value.toLowerCase().split(/\s+/).filter(Boolean);
    const kind = KINDS[show.value] || (() => true);
    const found = rows.filter((row) => kind(row) && (!role.value || row.role === role.value) && wanted.every((word) => textOf(row).includes(word)));
    for (const row of found) if (!drawn.has(row)) drawn.set(row, drawRow(row));
    at("list").replaceChildren(...found.map((row) => drawn.get(row)));
    at("count").textContent = found.length === rows.length ? `${rows.length} scenarios` : `${found.length} of ${rows.length} scenarios`;
  };

  const step = (by) => {
    const all = [...at("list").querySelectorAll(".scenario > summary")];
    const here = all.indexOf(document.activeElement.closest(".scenario")?.firstChild);
    const next = all[here < 0 ? 0 : here + by];
    if (!next) return;
    next.focus();
    next.scrollIntoView({ block: "nearest" });
  };

  const KEYS = { j: () => step(1), k: () => step(-1), "/": () => query.focus() };
  for (const name of new Set(rows.map((row) => row.role))) {
    const option = make("option", "", name);
    option.value = name;
    role.append(option);
  }
  at("filters").addEventListener("submit", (event) => event.preventDefault());
  at("filters").addEventListener("input", filter);
  at("filters").addEventListener("reset", () => setTimeout(filter));
  document.addEventListener("keydown", (event) => {
    if (event.target.matches("input, select") || event.ctrlKey || event.metaKey || event.altKey || !KEYS[event.key]) return;
    event.preventDefault();
    KEYS[event.key]();
  });
  at("browser").hidden = false;
  filter();
}

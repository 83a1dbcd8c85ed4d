"use strict";
// The browser of rows: filters, searches and shows what the data block holds. Text goes in as text, never as markup.
{
  const BATCH = 100; // rows that the list draws at a time
  const LONG = 1600; // characters of context from which a message is folded
  const SPEAKERS = { system: "System", user: "User", assistant: "Assistant", tool: "Tool" };
  const TAGS = /<tool_call>\n\{"name": "([^"]*)", "arguments": |\}\n<\/tool_call>|<\/?tool_result>/g;
  const rows = JSON.parse(document.getElementById("data").textContent);
  const at = (id) => document.getElementById(id);
  const controls = ["query", "scope", "role", "split", "tool", "session", "quality", "cut"].map(at);
  const [query, scope, role, split, tool, session, quality, cut] = controls;
  const number = (value) => value.toLocaleString("en");
  let found = rows; // the rows that match, in order
  let drawn = 0; // how many of them the list shows
  let current = null; // the row that is shown
  let wanted = []; // the words that are searched for, in lower case

  const make = (tag, name, ...children) => {
    const element = document.createElement(tag);
    if (name) element.className = name;
    element.append(...children);
    return element;
  };

  const lowered = { all: new Map(), trained: new Map() };
  const searched = (row, part) => {
    if (!lowered[part].has(row)) {
      const messages = row.messages.filter(([, trained]) => trained || part === "all");
      const texts = messages.map(([, , parts]) => parts.map(([, text]) => text).join(""));
      if (part === "all") texts.push(row.id);
      lowered[part].set(row, texts.join("\n").toLowerCase());
    }
    return lowered[part].get(row);
  };

  const words = (text) => Array.from(text.toLowerCase().matchAll(/"([^"]+)"|[^\s"]+/g), ([all, phrase]) => phrase || all);

  const pattern = () =>
    wanted.length ? new RegExp(wanted.map((word) => word.replace(/[.*+?^${}()|[\]\\/]/g, "\\$&")).join("|"), "giu") : null;

  const highlighted = (text, looked) => {
    if (!looked) return [text];
    const pieces = [];
    let end = 0;
    for (const match of text.matchAll(looked)) {
      pieces.push(text.slice(end, match.index), make("mark", "", match[0]));
      end = match.index + match[0].length;
    }
    return [...pieces, text.slice(end)];
  };

  const matches = (row) =>
    (!role.value || row.role === role.value) &&
    (!split.value || row.split === split.value) &&
    (!tool.value || row.tools.includes(tool.value)) &&
    (!session.value || row.session === session.value) &&
    row.quality >= Number(quality.value) &&
    (!cut.checked || row.cut) &&
    wanted.every((word) => searched(row, scope.value).includes(word));

  const plainText = (row, onlyTrained) =>
    row.messages.filter(([, trained]) => trained || !onlyTrained).map(([, , parts]) => parts.map(([, text]) => text).join("")).join(" ");

  // The first match, or the first words that are trained, without the tags around calls and results.
  const snippet = (row, looked) => {
    const text = plainText(row, !looked || scope.value === "trained").replace(TAGS, "$1 ").trim();
    const start = looked ? Math.max(text.search(looked) - 24, 0) : 0;
    return highlighted((start ? "…" : "") + text.slice(start, start + 150), looked);
  };

  const address = (row) => "#row=" + encodeURIComponent(row.id);

  const item = (row, looked) => {
    const link = make("a", "");
    link.href = address(row);
    link.title = row.id;
    link.append(make("span", "", `${number(row.tokens)} tokens`), make("b", "", row.role), ` ${row.split}`, make("em", "", ...snippet(row, looked)));
    if (row === current) link.setAttribute("aria-current", "true");
    return make("li", "", link);
  };

  const draw = (upTo) => {
    const looked = pattern();
    const more = found.slice(drawn, upTo).map((row) => item(row, looked));
    at("list").append(...more);
    drawn += more.length;
  };

  const folded = (message, length) => {
    const text = message.lastChild;
    const button = make("button", "more", `Show all ${number(length)} characters`);
    button.type = "button";
    text.classList.add("clipped");
    button.addEventListener("click", () => {
      const closed = text.classList.toggle("clipped");
      button.textContent = closed ? `Show all ${number(length)} characters` : "Show less";
    });
    message.append(button);
  };

  const drawMessage = ([speaker, trained, parts], looked) => {
    const results = speaker === "user" && parts.every(([kind, part]) => kind === "result" || kind === "elided" || !part.trim());
    const who = results ? "User (tool results)" : SPEAKERS[speaker];
    const heading = make("h4", "", `${who} · ${trained ? "trained" : "context"}`);
    const text = make("div", "words", ...parts.map(([kind, part]) => make("span", kind, ...highlighted(part, looked))));
    const message = make("div", `message ${trained ? "trained" : "context"}`, heading, text);
    const length = parts.reduce((sum, [, part]) => sum + part.length, 0);
    if (!trained && length > LONG && !cut.checked && !text.querySelector("mark")) folded(message, length);
    return message;
  };

  const drawAbout = (row) => {
    const known = Object.entries(row.known).filter(([, value]) => value !== 0.5);
    const parts = known.map(([name, value]) => `${name} ${value.toFixed(2)}`).join(", ");
    const link = make("a", "", row.id);
    link.href = address(row);
    at("about").replaceChildren(
      make("p", "", `${number(row.tokens)} tokens, ${number(row.trained)} trained · quality ${row.quality.toFixed(2)} (${parts || "nothing more is known"})`),
      make("p", "", `session ${row.session} · source ${row.source} · row `, link),
      make("p", "", "its transcript, stages and changes: ", make("code", "", `python -m data.pipeline explain '${row.id.replace(/'/g, "'\\''")}'`)),
    );
  };

  const drawRow = () => {
    const index = found.indexOf(current);
    at("previous").disabled = index <= 0;
    at("next").disabled = index < 0 || index === found.length - 1;
    at("place").textContent = index < 0 ? (current ? "not among the matches" : "") : `${number(index + 1)} of ${number(found.length)}`;
    at("title").textContent = current ? `${current.role} · ${current.split}` : "No row matches";
    at("messages").replaceChildren();
    at("about").replaceChildren();
    if (current) {
      const looked = pattern();
      drawAbout(current);
      at("messages").append(...current.messages.map((message) => drawMessage(message, looked)));
    }
    const match = at("messages").querySelector("mark");
    at("match").hidden = !match;
    // Only the pane scrolls, so that typing in the search field does not move the page.
    at("row").scrollTop = match ? match.getBoundingClientRect().top - at("messages").getBoundingClientRect().top - 80 : 0;
  };

  const point = () => {
    for (const old of at("list").querySelectorAll("[aria-current]")) old.removeAttribute("aria-current");
    const index = found.indexOf(current);
    if (index < 0) return;
    if (index >= drawn) draw(index + BATCH);
    const link = at("list").children[index].firstChild;
    link.setAttribute("aria-current", "true");
    const pane = at("list").parentElement;
    if (link.offsetTop < pane.scrollTop + pane.offsetTop || link.offsetTop + link.offsetHeight > pane.scrollTop + pane.offsetTop + pane.clientHeight)
      pane.scrollTop = link.offsetTop - pane.offsetTop - pane.clientHeight / 2;
  };

  const show = (row) => {
    current = row;
    drawRow();
    point();
  };

  const filter = () => {
    wanted = words(query.value);
    found = rows.filter(matches);
    if (!found.includes(current)) current = found[0] || null;
    at("least").textContent = Number(quality.value).toFixed(2);
    at("count").textContent = found.length === rows.length ? `${number(rows.length)} rows` : `${number(found.length)} of ${number(rows.length)} rows match`;
    at("list").replaceChildren();
    at("list").parentElement.scrollTop = 0;
    drawn = 0;
    draw(BATCH);
    drawRow();
    point();
  };

  const step = (by) => {
    const row = found[found.indexOf(current) + by];
    if (row) location.replace(address(row));
  };

  const nextMatch = () => {
    const marks = [...at("messages").querySelectorAll("mark")];
    const here = marks.findIndex((mark) => mark.classList.contains("here"));
    if (here >= 0) marks[here].classList.remove("here");
    const next = marks[(here + 1) % marks.length];
    if (!next) return;
    next.classList.add("here");
    next.scrollIntoView({ block: "center" });
  };

  const decoded = (text) => {
    try {
      return decodeURIComponent(text);
    } catch {
      return text;
    }
  };

  // #row=ID shows a row, #session=ID the rows of a session; both can be passed on as links.
  const follow = () => {
    const [, kind, text] = location.hash.match(/^#(row|session)=(.+)$/) || [];
    if (!kind) return;
    const row = rows.find((one) => (kind === "row" ? one.id : one.session) === decoded(text));
    if (!row) {
      at("count").textContent = `This page does not hold the ${kind} ${decoded(text)}.`;
    } else if (kind === "row") {
      show(row);
    } else {
      at("filters").reset();
      session.value = row.session;
      filter();
    }
    const { top, bottom } = at("row").getBoundingClientRect();
    if (top > innerHeight - 200 || bottom < 200) at("rows").scrollIntoView();
  };

  const offer = (select, values) => {
    const counts = new Map();
    for (const value of values) counts.set(value, (counts.get(value) || 0) + 1);
    for (const [value, count] of [...counts].sort(([a, x], [b, y]) => y - x || (a < b ? -1 : 1))) {
      const option = make("option", "", `${value} (${number(count)})`);
      option.value = value;
      select.append(option);
    }
  };

  const KEYS = { j: () => step(1), k: () => step(-1), m: nextMatch, "/": () => query.focus() };

  offer(role, rows.map((row) => row.role));
  offer(split, rows.map((row) => row.split));
  offer(tool, rows.flatMap((row) => row.tools));
  offer(session, rows.map((row) => row.session));
  at("filters").addEventListener("submit", (event) => event.preventDefault());
  at("filters").addEventListener("input", filter);
  at("filters").addEventListener("reset", () => setTimeout(filter));
  at("previous").addEventListener("click", () => step(-1));
  at("next").addEventListener("click", () => step(1));
  at("match").addEventListener("click", nextMatch);
  at("list").parentElement.addEventListener("scroll", ({ target }) => {
    if (target.scrollTop + target.clientHeight > target.scrollHeight - 400) draw(drawn + BATCH);
  });
  document.addEventListener("keydown", (event) => {
    const typing = event.target.matches("input:not([type=checkbox]):not([type=range]), select, textarea");
    if (typing || event.ctrlKey || event.metaKey || event.altKey || !KEYS[event.key]) return;
    event.preventDefault();
    KEYS[event.key]();
  });
  window.addEventListener("hashchange", follow);
  at("browser").hidden = false;
  filter();
  follow();
}

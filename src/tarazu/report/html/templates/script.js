"use strict";
(() => {
  const language = document.documentElement.lang;
  const collator = new Intl.Collator(language, { numeric: true });
  const number = (value) => value.toLocaleString(language, { maximumFractionDigits: 1 });

  // ---- Tables that are sorted by a column: first way, other way, as it was.
  function sortable(table) {
    const heads = [...table.tHead.rows[0].cells];
    [...table.tBodies[0].rows].forEach((row, place) => (row.dataset.place = place));
    heads.forEach((head, column) => {
      const button = make("button", { type: "button" });
      button.append(...head.childNodes);
      head.append(button);
      head.setAttribute("aria-sort", "none");
      button.addEventListener("click", () => sort(table, heads, column));
    });
  }

  function sort(table, heads, column) {
    const numeric = heads[column].classList.contains("number");
    const ways = numeric ? ["descending", "ascending", "none"] : ["ascending", "descending", "none"];
    const now = heads[column].getAttribute("aria-sort");
    const way = now === "none" ? ways[0] : ways[ways.indexOf(now) + 1];
    heads.forEach((head) => head.setAttribute("aria-sort", "none"));
    heads[column].setAttribute("aria-sort", way);
    const sign = way === "descending" ? -1 : 1;
    const place = (row) => Number(row.dataset.place);
    const rows = [...table.tBodies[0].rows].sort((a, b) => {
      const [x, y] = [a, b].map((row) => row.cells[column].dataset.sort);
      if (way === "none" || x === y) return place(a) - place(b);
      if (x === undefined || y === undefined) return x === undefined ? 1 : -1; // always last
      return sign * (numeric ? Number(x) - Number(y) : collator.compare(x, y)) || place(a) - place(b);
    });
    table.tBodies[0].append(...rows);
  }

  // ---- Elements. Foreign text only ever becomes a text node.
  function make(tag, attributes = {}, ...children) {
    const element = document.createElement(tag);
    for (const [name, value] of Object.entries(attributes)) {
      if (value === true) element.setAttribute(name, "");
      else if (value !== false && value !== null) element.setAttribute(name, value);
    }
    element.append(...children.filter((child) => child !== null));
    return element;
  }

  const name = (text) => make("bdi", {}, text);
  const part = (id) => document.getElementById(id);

  // Spelling that a reader would not mind: case, Arabic letters for Persian ones, half-spaces,
  // vowel signs, and digits of either script.
  function folded(text) {
    return text
      .normalize("NFKC")
      .toLowerCase()
      .replace(/[\u200c\u064b-\u065f]/g, "")
      .replace(/\u064a/g, "\u06cc")
      .replace(/\u0643/g, "\u06a9")
      .replace(/[\u06f0-\u06f9]/g, (sign) => sign.charCodeAt(0) - 0x06f0)
      .replace(/[\u0660-\u0669]/g, (sign) => sign.charCodeAt(0) - 0x0660);
  }

  // ---- The browser of failures. Only one page of items is ever in the document.
  const PAGE = 50;

  function browse(data) {
    const { words, texts } = data;
    const say = (key, values = {}) =>
      words[key].replace(/\{(\w+)\}/g, (all, slot) => (slot in values ? values[slot] : all));
    const text = (place) =>
      place >= 0 ? texts[place] : say(place === -1 ? "unparsable" : "left_out");
    let split, haystacks, chosen, states, found, page, open;

    const right = (entry, item) => entry.scores[item] !== null && entry.scores[item] >= 50;
    const wrong = (item) => split.entries.filter((entry) => !right(entry, item)).length;

    function haystack(item) {
      if (haystacks[item] === undefined) {
        const answers = split.entries.flatMap((entry) => entry.answers.map((row) => row[item]));
        const places = [
          ...split.gold[item],
          ...split.fields.map((field) => field.values[item]),
          ...new Set(answers.filter((place) => place >= 0)),
        ];
        haystacks[item] = folded([split.ids[item], ...places.map((p) => texts[p])].join("\n"));
      }
      return haystacks[item];
    }

    function choose(index) {
      split = data.splits[index];
      haystacks = [];
      chosen = split.slices.map(() => "");
      states = split.entries.map(() => "any");
      open = new Set();
      part("query").placeholder = say(split.redacted ? "search_hint_redacted" : "search_hint");
      part("rule").textContent = say("right_rule", { metric: split.metric });
      part("slices").replaceChildren(...split.slices.map(slicePicker));
      part("entries").replaceChildren(...split.entries.map(entryPicker));
      filter();
    }

    function slicePicker(slice, index) {
      const values = [...new Set(slice.values)].filter((place) => place >= 0);
      values.sort((a, b) => collator.compare(folded(texts[a]), folded(texts[b])));
      const select = make("select", {}, make("option", { value: "" }, say("any")));
      select.append(...values.map((place) => make("option", { value: place }, texts[place])));
      select.addEventListener("change", () => {
        chosen[index] = select.value;
        filter();
      });
      return make("label", {}, slice.name, select);
    }

    const SIGNS = { any: "", right: "✓ ", wrong: "✕ " };

    function entryPicker(entry, index) {
      const button = make("button", { type: "button", class: "entry" });
      const paint = () => {
        const state = states[index];
        button.dataset.state = state;
        button.replaceChildren(SIGNS[state], name(entry.name));
        button.setAttribute("aria-label", `${entry.name}: ${say(`state_${state}`)}`);
      };
      button.addEventListener("click", () => {
        states[index] = { any: "right", right: "wrong", wrong: "any" }[states[index]];
        paint();
        filter();
      });
      paint();
      return button;
    }

    function filter() {
      part("items").dataset.query = part("query").value;
      const query = folded(part("query").value).split(/\s+/).filter(Boolean);
      const slices = chosen.map((value, index) => [value, index]).filter(([value]) => value !== "");
      const asked = states.map((state, index) => [state, index]).filter(([s]) => s !== "any");
      found = split.ids.map((_, item) => item).filter(
        (item) =>
          slices.every(([value, index]) => split.slices[index].values[item] === Number(value)) &&
          asked.every(([s, index]) => right(split.entries[index], item) === (s === "right")) &&
          query.every((word) => haystack(item).includes(word)),
      );
      const half = split.entries.length / 2;
      const keys = {
        hardest: (item) => -wrong(item),
        easiest: (item) => wrong(item),
        divided: (item) => Math.abs(wrong(item) - half),
      };
      const key = keys[part("order").value];
      if (key) {
        const known = new Map(found.map((item) => [item, key(item)]));
        found.sort((a, b) => known.get(a) - known.get(b) || a - b);
      }
      page = 0;
      draw();
    }

    function draw() {
      const pages = Math.max(1, Math.ceil(found.length / PAGE));
      const shown = found.slice(page * PAGE, (page + 1) * PAGE);
      part("found").textContent = found.length
        ? say("shown", { shown: number(found.length), all: number(split.ids.length) })
        : say("nothing_found");
      part("page").textContent = say("page", { page: number(page + 1), pages: number(pages) });
      part("previous").disabled = page === 0;
      part("next").disabled = page + 1 >= pages;
      const table = part("items");
      table.tHead.replaceChildren(headings());
      table.tBodies[0].replaceChildren(...shown.flatMap(rows));
    }

    function headings() {
      const head = (key) => make("th", { scope: "col" }, say(key));
      const wrongs = make("th", { scope: "col", class: "number" }, say("wrong_count"));
      const shown = split.gold.some((golds) => golds.length) ? [head("gold")] : [];
      return make("tr", {}, head("item"), ...shown, wrongs, ...split.entries.map((entry) =>
        make("th", { scope: "col", class: "slanted" }, make("span", {}, name(entry.name)))));
    }

    // The text that says most in a line: the shortest field, such as a hypothesis or a question.
    function excerpt(item) {
      const lengths = split.fields.map((field) => texts[field.values[item]].length);
      const place = lengths.indexOf(Math.min(...lengths));
      return place < 0 ? "" : texts[split.fields[place].values[item]];
    }

    function rows(item) {
      const button = make("button", { type: "button", "aria-expanded": String(open.has(item)) },
        name(split.ids[item]));
      button.setAttribute("aria-label", say("open_item", { id: split.ids[item] }));
      const line = excerpt(item);
      const head = make("th", { scope: "row" }, button,
        line ? make("span", { class: "excerpt", dir: "auto" }, line) : null);
      const golds = split.gold[item].map((place) => texts[place]).join(" / ");
      const shown = split.gold.some((all) => all.length) ? [make("td", { dir: "auto" }, golds)] : [];
      const count = `${number(wrong(item))}/${number(split.entries.length)}`;
      const row = make("tr", {}, head, ...shown, make("td", { class: "number" }, count),
        ...split.entries.map((entry) => mark(entry, item)));
      if (!open.has(item)) {
        button.addEventListener("click", () => toggle(item));
        return [row];
      }
      button.addEventListener("click", () => toggle(item));
      const width = row.cells.length;
      return [row, make("tr", { class: "opened" }, make("td", { colspan: width }, detail(item)))];
    }

    function toggle(item) {
      if (!open.delete(item)) open.add(item);
      draw();
      const place = found.indexOf(item) - page * PAGE;
      const buttons = part("items").querySelectorAll("tbody th button");
      if (buttons[place]) buttons[place].focus();
    }

    function mark(entry, item) {
      const score = entry.scores[item];
      if (score === null) return make("td", { class: "mark" }, "–");
      const sign = split.graded ? number(score) : score >= 50 ? "✓" : "✕";
      const state = score >= 50 ? "right" : "wrong";
      return make("td", { class: `mark ${state}`, title: `${entry.name}: ${answers(entry, item)}` },
        sign);
    }

    const answers = (entry, item) =>
      [...new Set(entry.answers.map((row) => text(row[item])))].join(" / ");

    function detail(item) {
      const fields = split.fields.map((field) =>
        make("div", {}, make("dt", {}, name(field.name)),
          make("dd", { dir: "auto" }, texts[field.values[item]])));
      const slices = split.slices.filter((slice) => slice.values[item] >= 0).map((slice) =>
        make("div", {}, make("dt", {}, slice.name),
          make("dd", {}, make("bdi", {}, texts[slice.values[item]]))));
      const head = make("tr", {}, ...["entry", "answer", "score"].map((key) =>
        make("th", { scope: "col", class: key === "score" ? "number" : null }, say(key))));
      const body = split.entries.map((entry) =>
        make("tr", {}, make("th", { scope: "row" }, name(entry.name)),
          make("td", {}, ...given(entry, item)),
          make("td", { class: "number" },
            entry.scores[item] === null ? "–" : number(entry.scores[item]))));
      return make("div", { class: "detail" },
        fields.length ? make("dl", { class: "texts" }, ...fields) : null,
        make("dl", { class: "facts" }, ...slices),
        make("table", {}, make("thead", {}, head), make("tbody", {}, ...body)));
    }

    // What an entry answered by seed; seeds that agree stand in one line.
    function given(entry, item) {
      const groups = new Map();
      entry.answers.forEach((row, seed) => {
        const raw = entry.raw ? entry.raw[seed][item] : -1;
        const key = `${row[item]} ${raw}`;
        if (!groups.has(key)) groups.set(key, { place: row[item], raw, seeds: [] });
        groups.get(key).seeds.push(entry.seeds[seed]);
      });
      return [...groups.values()].map(({ place, raw, seeds }) => {
        const who = groups.size > 1
          ? make("span", { class: "aside" }, ` ${say("seed")} ${seeds.map(number).join(data.persian ? "، " : ", ")}`)
          : null;
        const words = make(place < 0 ? "em" : "span", { dir: "auto" }, text(place));
        const generated = raw >= 0
          ? make("div", { class: "aside" }, `${say("raw")}: `, make("bdi", {}, texts[raw]))
          : null;
        return make("div", {}, words, who, generated);
      });
    }

    let waiting = 0;
    part("query").addEventListener("input", () => {
      clearTimeout(waiting);
      waiting = setTimeout(filter, 80);
    });
    part("order").addEventListener("change", filter);
    const form = part("browser").querySelector("form");
    form.addEventListener("submit", (event) => event.preventDefault());
    form.addEventListener("reset", () => setTimeout(() => choose(Number(part("split").value)), 0));
    part("previous").addEventListener("click", () => { page -= 1; draw(); });
    part("next").addEventListener("click", () => { page += 1; draw(); });
    part("split-label").hidden = data.splits.length < 2;
    part("split").append(...data.splits.map((one, index) =>
      make("option", { value: index }, one.name)));
    part("split").addEventListener("change", () => choose(Number(part("split").value)));
    choose(0);
    part("browser").hidden = false;
  }

  document.querySelectorAll("table[data-sortable]").forEach(sortable);
  const embedded = part("browser-data");
  if (embedded) browse(JSON.parse(embedded.textContent));
  // What is folded away would be missing on paper.
  addEventListener("beforeprint", () =>
    document.querySelectorAll("details").forEach((one) => (one.open = true)));
})();

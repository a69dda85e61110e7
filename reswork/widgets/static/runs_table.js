// The table of runs. Every name is set as text, so that nothing in it is ever taken for markup or a script.
function made(tag, text, attributes = {}) {
  const element = document.createElement(tag);
  if (text !== null) element.textContent = text;
  for (const [name, value] of Object.entries(attributes)) element.setAttribute(name, value);
  return element;
}

function head(model, [key, label]) {
  const [column, falling] = model.get("sort");
  const cell = made("th", null, { scope: "col" });
  const sorted = key === column;
  if (sorted) cell.setAttribute("aria-sort", falling ? "descending" : "ascending");
  const button = made("button", sorted ? `${label} ${falling ? "▼" : "▲"}` : label, {
    type: "button", title: `Sort by ${label}`, "data-key": `sort/${key}`,
  });
  button.onclick = () => model.send({ kind: "sort", name: key });
  cell.append(button);
  return cell;
}

// Ticks of this page that the kernel's rows don't have yet: rows of an earlier click don't take them away again.
function row(model, run, pending) {
  const line = made("tr", null);
  const tick = made("input", null, {
    type: "checkbox", "aria-label": `Draw ${run.name} over the present run`, title: `Draw ${run.name} over the present run`,
    "data-key": `tick/${run.name}`,
  });
  if (pending.get(run.name) === run.ticked) pending.delete(run.name);
  tick.checked = pending.get(run.name) ?? run.ticked;
  tick.onchange = () => {
    pending.set(run.name, tick.checked);
    model.send({ kind: tick.checked ? "tick" : "untick", name: run.name });
  };
  const first = made("td", null);
  first.append(tick);
  const buttons = made("td", null, { class: "reswork-row-buttons" });
  for (const [kind, label] of [["show", "Show"], ["note", "Note"], ["delete", "Delete"]]) {
    const button = made("button", label, { type: "button", title: `${label}: ${run.name}`, "data-key": `${kind}/${run.name}` });
    button.onclick = () => model.send({ kind, name: run.name });
    buttons.append(button);
  }
  line.append(first, buttons);
  model.get("columns").forEach(([key], place) => {
    const cell = made(place ? "td" : "th", run.cells[key] ?? "", { title: run.cells[key] ?? "", class: `reswork-cell-${key}` });
    if (!place) cell.setAttribute("scope", "row");
    line.append(cell);
  });
  return line;
}

function render({ model, el }) {
  el.classList.add("reswork-runs");
  const pending = new Map();
  const draw = () => {
    const held = el.contains(document.activeElement) ? document.activeElement.dataset.key : null;
    const table = made("table", null);
    const heads = made("tr", null);
    heads.append(made("th", null), made("th", null), ...model.get("columns").map((column) => head(model, column)));
    table.append(heads, ...model.get("rows").map((run) => row(model, run, pending)));
    el.replaceChildren(table);
    if (held) [...el.querySelectorAll("[data-key]")].find((each) => each.dataset.key === held)?.focus();
  };
  draw();
  model.on("change:rows change:sort change:columns", draw);
  return () => model.off(null, draw);
}

export default { render };

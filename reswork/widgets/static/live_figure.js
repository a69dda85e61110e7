// Draws one plotly figure and redraws it when the kernel sends new numbers. The kernel sends the frame (layout and
// traces without their numbers) once, and then only the numbers, as binary buffers.
function plotly() {
  if (!globalThis.__reswork_plotly) {
    const box = { taken: false };
    box.promise = new Promise((resolve, reject) => Object.assign(box, { resolve, reject }));
    globalThis.__reswork_plotly = box;
  }
  return globalThis.__reswork_plotly.promise;
}

const KINDS = { f4: Float32Array, f8: Float64Array, i4: Int32Array, u1: Uint8Array };

function array([kind, shape, view]) {
  const bytes = view.buffer.slice(view.byteOffset, view.byteOffset + view.byteLength);
  const flat = new KINDS[kind](bytes);
  if (shape.length < 2) return flat;
  const [rows, columns] = shape;
  return Array.from({ length: rows }, (_, r) => flat.subarray(r * columns, (r + 1) * columns));
}

function fill(target, path, value) {
  const last = path.length - 1;
  let place = target;
  path.slice(0, last).forEach((key) => { place = place[key]; });
  place[path[last]] = value;
}

function assemble(model) {
  const frame = structuredClone(model.get("frame"));
  const numbers = model.get("numbers");
  for (const [path, packed] of Object.entries(numbers)) {
    if (path === "revision") continue;
    fill(frame.data, path.split("/"), array(packed));
  }
  return frame;
}

const PATIENCE_MS = 5000; // plotly waits for pictures without an end
const LONGEST_WAIT_MS = 30000; // before one more try, where plotly fails or draws another width than it was told
const MEND_MS = 2000; // between two looks whether the plot is as wide as its place
const MOST_MENDED = 20; // in a row
const LEGEND = 50; // pixels of a legend that a figure's height reckons with: two rows
const MOST_LEGEND = 200; // that a figure grows by; in a longer one plotly scrolls

// What a draw gives, or an error once the patience is over.
function inTime(draw) {
  let timer;
  const late = new Promise((_, reject) => {
    timer = setTimeout(() => reject(new Error(`plotly has not come back for ${PATIENCE_MS / 1000} s`)), PATIENCE_MS);
  });
  return Promise.race([draw, late]).finally(() => clearTimeout(timer));
}

function render({ model, el }) {
  el.classList.add("reswork-figure");
  const plot = document.createElement("div");
  plot.className = "reswork-plot";
  plot.setAttribute("role", "figure"); // not an image: the buttons in it can be reached by the keyboard
  const about = document.createElement("details");
  about.className = "reswork-about";
  const question = document.createElement("summary");
  question.textContent = "What is this?";
  const answer = document.createElement("div");
  about.append(question, answer);
  const summary = document.createElement("p");
  summary.className = "reswork-summary";
  const foot = document.createElement("div");
  foot.className = "reswork-foot";
  foot.append(summary, about);
  el.append(plot, foot);
  const thumbnail = document.createElement("div");
  thumbnail.className = "reswork-thumbnail";
  thumbnail.setAttribute("aria-hidden", "true"); // the point says its name
  thumbnail.hidden = true;

  let Plotly = null;
  let asked = false;
  let drawing = false;
  let listening = false;
  let gone = false;
  let tries = 0;
  let more = 0; // pixels for a legend of many rows, which would else be taken from the drawing

  function words() {
    summary.textContent = model.get("summary");
    plot.setAttribute("aria-label", model.get("summary"));
    const text = model.get("about");
    answer.replaceChildren();
    for (const [key, title] of [["what", ""], ["normal", "Normal: "], ["try", "Try: "]]) {
      if (!text[key]) continue;
      const line = document.createElement("p");
      const strong = document.createElement("b");
      strong.textContent = title;
      line.append(strong, text[key]);
      answer.append(line);
    }
    about.hidden = answer.childElementCount === 0;
  }

  function tall() {
    const { layout, ratio } = model.get("frame"); // a deeper network has a taller drawing
    const most = layout?.height || 300;
    const pictures = ratio && plot.clientWidth ? Math.ceil(38 + ratio * (plot.clientWidth - 8)) : most;
    const height = Math.min(most, pictures) + (ratio ? 0 : more); // no blank below pictures that are as wide as the page lets them
    if (plot.style.height !== `${height}px`) plot.style.height = `${height}px`;
    return height;
  }

  // The legend lies so many pixels below the top, however tall the figure has become.
  function placed(layout, height) {
    const { legend } = layout;
    if (legend?.yref !== "container" || !layout.height) return layout;
    return { ...layout, legend: { ...legend, y: 1 - (1 - legend.y) * layout.height / height } };
  }

  // Whether the legend, as it is drawn now, asks for another height.
  function grows(layout) {
    const rows = layout.legend?.yref === "container" ? plot._fullLayout?.legend?._height ?? 0 : 0;
    const before = more;
    more = Math.min(MOST_LEGEND, Math.max(0, Math.ceil(rows) - LEGEND));
    return Math.abs(more - before) > 1;
  }

  function point(event) {
    const sheet = model.get("thumbnails");
    const place = sheet?.place?.[event.points[0].customdata];
    if (place === undefined) return;
    const [high, wide] = sheet.cell;
    const scale = Math.min(96 / high, 128 / wide);
    const rows = Math.ceil(Object.keys(sheet.place).length / sheet.columns);
    Object.assign(thumbnail.style, {
      width: `${wide * scale}px`, height: `${high * scale}px`,
      backgroundImage: `url(${sheet.source})`,
      backgroundSize: `${sheet.columns * wide * scale}px ${rows * high * scale}px`,
      backgroundPosition: `${-(place % sheet.columns) * wide * scale}px ${-Math.floor(place / sheet.columns) * high * scale}px`,
    });
    const box = plot.getBoundingClientRect();
    const left = event.event.clientX - box.left;
    const top = event.event.clientY - box.top + 18;
    thumbnail.style.left = `${Math.max(0, left < box.width / 2 ? left + 14 : left - 14 - wide * scale)}px`;
    thumbnail.style.top = `${Math.min(top, box.height - high * scale)}px`;
    thumbnail.hidden = false;
  }

  function select(event) {
    if (!event) return; // the area was taken away
    const { lassoPoints, range } = event;
    const corners = lassoPoints || (range && {
      x: [range.x[0], range.x[1], range.x[1], range.x[0]], y: [range.y[0], range.y[0], range.y[1], range.y[1]],
    });
    if (corners) model.send({ kind: "select", x: Array.from(corners.x), y: Array.from(corners.y) });
  }

  async function draw() {
    asked = false;
    if (gone || drawing || !Plotly || plot.clientWidth === 0 || !model.get("frame").data) return;
    drawing = true; // one after the other: Plotly finishes later, and would keep the width of before
    const width = plot.clientWidth;
    const drawn = [model.get("frame"), model.get("numbers")];
    let done = true;
    let react = null;
    try {
      const { data, layout } = assemble(model);
      const height = tall();
      waiting.remove();
      react = Plotly.react(plot, data, { ...placed(layout, height), width, height, autosize: false }, { responsive: false,
        displaylogo: false, displayModeBar: "hover", showSendToCloud: false });
      await inTime(react);
      plot.dataset.revision = drawn[1].revision;
      if (!model.get("frame").ratio && grows(layout)) ask();
    } catch (error) {
      done = false;
      react?.then(ask, () => {}); // one that comes late draws over a newer one, with the width of before
      console.warn("reswork: a plot was not drawn, which is tried again:", error);
    }
    drawing = false;
    if (gone) return;
    listen();
    const newest = [model.get("frame"), model.get("numbers")];
    const changed = plot.clientWidth !== width || newest.some((part, place) => part !== drawn[place]);
    const fits = done && drawnWidth() === width;
    if (changed || fits) tries = 0;
    if (changed) ask();
    else if (!fits) setTimeout(ask, Math.min(300 * 2 ** tries++, LONGEST_WAIT_MS));
  }

  function drawnWidth() {
    return Number(plot.querySelector(".main-svg")?.getAttribute("width"));
  }

  // Whatever left a plot at another width than its place, such as something of plotly's that came late: drawn once more.
  function mend() {
    if (!drawing && tries < MOST_MENDED && drawnWidth() && plot.clientWidth && drawnWidth() !== plot.clientWidth) {
      tries++;
      draw();
    }
  }

  function listen() {
    if (!listening && plot.on) {
      listening = true;
      plot.on("plotly_click", (event) => {
        model.send({ kind: "click", name: String(event.points[0].customdata ?? "") });
      });
      plot.on("plotly_selected", select);
      plot.on("plotly_hover", point);
      plot.on("plotly_unhover", () => { thumbnail.hidden = true; });
      plot.append(thumbnail);
    }
  }

  function ask() {
    if (asked) return;
    asked = true;
    requestAnimationFrame(draw);
  }

  words();
  tall();
  const waiting = document.createElement("p");
  waiting.className = "reswork-waiting";
  waiting.textContent = "loading the plots ...";
  plot.append(waiting);
  model.on("change:frame", ask);
  model.on("change:numbers", ask);
  model.on("change:summary", words);
  model.on("change:about", words);
  const mending = setInterval(mend, MEND_MS);
  const watcher = new ResizeObserver(ask);
  watcher.observe(plot);
  plotly().then((library) => { Plotly = library; ask(); },
    (error) => { plot.textContent = error.message; });

  return () => {
    gone = true;
    watcher.disconnect();
    clearInterval(mending);
    model.off("change:frame", ask);
    model.off("change:numbers", ask);
    model.off("change:summary", words);
    model.off("change:about", words);
    if (Plotly) Plotly.purge(plot);
  };
}

export default { render };

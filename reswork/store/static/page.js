// Draws every figure of the page from the JSON beside it, and puts a button under it that saves it as PNG.
for (const plot of document.querySelectorAll(".plot")) {
  const figure = JSON.parse(plot.nextElementSibling.textContent);
  const name = plot.dataset.title.toLowerCase().replace(/[^a-z0-9]+/g, "_");
  const options = { format: "png", filename: name, scale: 2 };
  const layout = { ...figure.layout, autosize: true };
  const { ratio, thumbnails } = layout.meta || {};
  if (ratio) { // pictures, with no blank below them where the page is narrow
    const most = layout.height;
    const fit = () => { plot.style.height = `${Math.min(most, Math.ceil(38 + ratio * (plot.clientWidth - 8)))}px`; };
    fit();
    addEventListener("resize", fit);
    delete layout.height; // then it is the element's
  }
  Plotly.newPlot(plot, figure.data, layout, { responsive: true, displaylogo: false, showSendToCloud: false,
    toImageButtonOptions: options });
  if (thumbnails) pointedAt(plot, thumbnails);
  const save = document.createElement("button");
  save.type = "button";
  save.textContent = "Save as PNG";
  save.setAttribute("aria-label", `Save ${plot.dataset.title} as PNG`);
  save.addEventListener("click", () => {
    const { width, height } = plot.getBoundingClientRect();
    const white = { ...plot.layout, paper_bgcolor: "white", plot_bgcolor: "white" };
    Plotly.downloadImage({ data: plot.data, layout: white }, { ...options, width, height });
  });
  plot.parentElement.querySelector("p").append(" ", save);
}

// Shows the image of the point that is pointed at: one cell of the sheet.
function pointedAt(plot, sheet) {
  const image = document.createElement("div");
  image.className = "thumbnail";
  image.setAttribute("aria-hidden", "true"); // the point says its name
  image.hidden = true;
  plot.append(image);
  const [high, wide] = sheet.cell;
  const scale = Math.min(96 / high, 128 / wide);
  const rows = Math.ceil(Object.keys(sheet.place).length / sheet.columns);
  Object.assign(image.style, { width: `${wide * scale}px`, height: `${high * scale}px`,
    backgroundImage: `url(${sheet.source})`,
    backgroundSize: `${sheet.columns * wide * scale}px ${rows * high * scale}px` });
  plot.on("plotly_hover", (event) => {
    const place = sheet.place[event.points[0].customdata];
    if (place === undefined) return;
    const box = plot.getBoundingClientRect();
    const [left, top] = [event.event.clientX - box.left, event.event.clientY - box.top + 18];
    image.style.backgroundPosition =
      `${-(place % sheet.columns) * wide * scale}px ${-Math.floor(place / sheet.columns) * high * scale}px`;
    image.style.left = `${Math.max(0, left < box.width / 2 ? left + 14 : left - 14 - wide * scale)}px`;
    image.style.top = `${Math.min(top, box.height - high * scale)}px`;
    image.hidden = false;
  });
  plot.on("plotly_unhover", () => { image.hidden = true; });
}

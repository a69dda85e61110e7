// Draws every figure of the page from the JSON beside it, and puts a button under it that saves it as PNG.
for (const plot of document.querySelectorAll(".plot")) {
  const figure = JSON.parse(plot.nextElementSibling.textContent);
  const name = plot.dataset.title.toLowerCase().replace(/[^a-z0-9]+/g, "_");
  const options = { format: "png", filename: name, scale: 2 };
  const layout = { ...figure.layout, autosize: true };
  Plotly.newPlot(plot, figure.data, layout, { responsive: true, displaylogo: false, showSendToCloud: false,
    toImageButtonOptions: options });
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

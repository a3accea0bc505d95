// What the browser does beyond htmx: plots, and notes of what went wrong.
"use strict";

(() => {
  const plots = new Map();
  const dark = matchMedia("(prefers-color-scheme: dark)");

  const colour = (name) => getComputedStyle(document.documentElement).getPropertyValue(name).trim();

  const lineColour = (name) => {
    const probe = document.createElement("i");
    probe.className = name;
    document.body.append(probe);
    const found = getComputedStyle(probe).getPropertyValue("--line-colour").trim();
    probe.remove();
    return found || colour("--stored");
  };

  // As the tables and the line below each panel, which people compare with the plot.
  const utc = (seconds) => new Date(seconds * 1000).toISOString().slice(11, 16);

  const said = (value, digits) =>
    value === null || value === undefined
      ? "unknown"
      : value.toLocaleString("en-US", { minimumFractionDigits: digits, maximumFractionDigits: digits });

  const draw = (place) => {
    const data = JSON.parse(place.dataset.plot);
    const figure = place.closest("figure");
    const values = [...figure.querySelectorAll("b[data-line]")];
    const latest = values.map((one) => one.textContent);
    const at = figure.querySelector(".at");
    const zone = "times in UTC";
    at.textContent = zone;
    const axis = { stroke: colour("--soft"), grid: { stroke: colour("--line"), width: 1 }, ticks: { show: false }, font: "11px system-ui, sans-serif" };
    const options = {
      width: place.clientWidth,
      height: 150,
      tzDate: (seconds) => uPlot.tzDate(new Date(seconds * 1000), "Etc/UTC"),
      legend: { show: false },
      cursor: { y: false, points: { size: 6 }, drag: { x: false, y: false } },
      scales: { y: { range: (_, low, high) => [0, high > 0 ? high * 1.12 : 1] } },
      axes: [
        { ...axis, size: 26, values: (_, splits) => splits.map(utc) },
        { ...axis, size: 48, space: 34 },
      ],
      series: [
        {},
        ...data.lines.map((line, index) => {
          const stroke = lineColour(line.name);
          // A value between two unknown ones would be no line.
          const alone = line.values.flatMap((value, at) => value !== null && (line.values[at - 1] ?? line.values[at + 1] ?? null) === null ? [at] : []);
          return { stroke, width: 1.75, fill: index === 0 ? `${stroke}22` : undefined, points: { show: alone.length > 0, size: 6, filter: () => alone }, spanGaps: false };
        }),
      ],
      hooks: {
        setCursor: [
          (plot) => {
            const index = plot.cursor.idx;
            values.forEach((one, line) => {
              one.textContent = index == null ? latest[line] : said(plot.data[line + 1][index], data.digits);
            });
            at.textContent = index == null ? zone : `${utc(plot.data[0][index])} UTC`;
          },
        ],
      },
    };
    plots.set(place, new uPlot(options, [data.x, ...data.lines.map((line) => line.values)], place));
  };

  const drop = (within) => {
    for (const [place, plot] of plots) {
      if (within.contains(place)) {
        plot.destroy();
        plots.delete(place);
      }
    }
  };

  const drawAll = (within) => within.querySelectorAll("[data-plot]").forEach((place) => { if (!plots.has(place)) draw(place); });

  const redraw = () => {
    drop(document);
    drawAll(document);
  };

  let waiting = 0;
  addEventListener("resize", () => {
    clearTimeout(waiting);
    waiting = setTimeout(redraw, 150);
  });
  dark.addEventListener("change", redraw);

  const say = (text) => {
    const trouble = document.getElementById("trouble");
    if (trouble.textContent !== text) trouble.textContent = text;
    trouble.hidden = !text;
  };

  // What went wrong, by the element that asked. A panel that is read has nothing to say of another.
  const failed = new Map();
  const complain = (asked, text) => {
    if (text) failed.set(asked, text);
    else failed.delete(asked);
    for (const one of failed.keys()) if (!one.isConnected) failed.delete(one);
    say([...failed.values()].pop() || "");
  };

  // A screen reader is told one line of a panel, and only if it is another line than before.
  const tell = (panel) => {
    const place = panel && document.getElementById(`${panel.id}-said`);
    const line = place && panel.querySelector("[data-said]");
    const text = line ? line.dataset.said || line.textContent.trim().replace(/\s+/g, " ") : "";
    if (text && place.textContent !== text) place.textContent = text;
  };

  const open = new Map();
  let isFocusLost = false;
  // A panel is replaced as a whole. What a person has opened in it stays open. htmx gives the focus back to an
  // element with the same id. Without one, a panel that can have the focus gets it.
  document.addEventListener("htmx:beforeSwap", (event) => {
    const target = event.detail.target;
    const asked = event.detail.requestConfig.elt;
    const focused = document.activeElement;
    // A button that is disabled while it asks has lost the focus already.
    isFocusLost = target.contains(focused) || focused === asked || (focused === document.body && asked.matches("button"));
    open.set(target.id, [...target.querySelectorAll("details[open][id]")].map((one) => one.id));
    drop(target);
  });
  document.addEventListener("htmx:afterSwap", (event) => {
    const target = event.detail.target;
    for (const id of open.get(target.id) || []) {
      const found = document.getElementById(id);
      if (found) found.open = true;
    }
    open.delete(target.id);
    drawAll(target);
    tell(target.closest("section"));
    if (isFocusLost && target.hasAttribute("tabindex") && !target.contains(document.activeElement)) target.focus();
  });
  document.addEventListener("htmx:beforeRequest", (event) => {
    // Nobody looks: ask again when somebody does. The first reading of a panel is not put off.
    if (document.hidden && event.detail.elt.dataset.read) event.preventDefault();
  });
  document.addEventListener("htmx:afterRequest", (event) => {
    event.detail.elt.dataset.read = "1";
    if (event.detail.successful) complain(event.detail.requestConfig.elt, "");
  });
  document.addEventListener("htmx:responseError", (event) => {
    const status = event.detail.xhr.status;
    complain(event.detail.requestConfig.elt, status === 403
      ? "The console was started again. Open the address that it printed."
      : `The console could not answer (status ${status}). Its terminal shows why.`);
  });
  document.addEventListener("htmx:sendError", (event) => {
    complain(event.detail.requestConfig.elt, "The console has ended. What you see is old. Start it again: shipments console");
  });

  document.addEventListener("change", (event) => {
    const all = event.target.closest("[data-all]");
    if (all) document.querySelectorAll(`input[name="${all.dataset.all}"]`).forEach((one) => { one.checked = all.checked; });
  });
  document.addEventListener("click", (event) => {
    const more = event.target.closest("[data-more]");
    if (!more) return;
    const last = [...document.querySelectorAll(`.${more.dataset.more}`)].pop();
    const copy = last.cloneNode(true);
    const number = document.querySelectorAll(`.${more.dataset.more}`).length + 1;
    copy.querySelectorAll("[id]").forEach((one) => { one.id = `${one.id.replace(/-\d+$/, "")}-${number}`; });
    copy.querySelectorAll("label").forEach((one) => { one.htmlFor = `${one.htmlFor.replace(/-\d+$/, "")}-${number}`; });
    copy.querySelectorAll("input").forEach((one) => { one.value = ""; });
    last.after(copy);
    copy.querySelector("input").focus();
  });
  // A second click must not send a form twice.
  document.addEventListener("submit", (event) => {
    if (event.target.method === "post") {
      setTimeout(() => event.target.querySelectorAll("button").forEach((one) => { one.disabled = true; }));
    }
  });
  addEventListener("pageshow", (event) => {
    if (event.persisted) document.querySelectorAll("form button").forEach((one) => { one.disabled = false; });
  });
})();

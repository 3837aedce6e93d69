"use strict";
(() => {
  document.documentElement.classList.add("scripted");
  const $ = (id) => document.getElementById(id);

  // The table of every image: sorted and filtered in memory, one page in the document.
  const all = JSON.parse($("data").textContent), PAGE = 50;
  const states = { flipped: "flipped", never: "never flipped", wrong: "wrong before", untried: "not attacked" };
  let shown = all, page = 0, column = -1, down = false;
  const text = (row) => [row[0], row[1], row[2], row[3], states[row[4]], row[6] || "–", row[8] || "–", row[9] || "–", row[10]?.toFixed(2) ?? "–", row[11] ?? "–"];
  const numeric = new Set([5, 6, 8, 9]);
  const order = new Intl.Collator(undefined, { numeric: true }).compare;
  const heads = document.querySelectorAll("#rows th");
  const draw = () => {
    const body = document.querySelector("#rows tbody"), pages = Math.max(1, Math.ceil(shown.length / PAGE));
    page = Math.min(Math.max(page, 0), pages - 1);
    body.replaceChildren(...shown.slice(page * PAGE, (page + 1) * PAGE).map((row) => {
      const line = document.createElement("tr");
      text(row).forEach((value, place) => {
        const cell = line.insertCell();
        cell.textContent = value;
        if (numeric.has(place) || heads[place].className === "n") cell.className = "n";
        else if (place < 4 && value.length > 40) cell.className = "long";
      });
      return line;
    }));
    $("place").textContent = `page ${page + 1} of ${pages}`;
    $("count").textContent = `${shown.length} of ${all.length} lines`;
    $("back").disabled = page === 0;
    $("forth").disabled = page === pages - 1;
  };
  const select = () => {
    const wanted = $("find").value.trim().toLowerCase(), state = $("state").value, norm = $("norm").value;
    shown = all.filter((row) => (!state || row[4] === state) && (!norm || row[1] === norm) &&
      (!wanted || `${row[0]} ${row[2]} ${row[3]} ${row[9]}`.toLowerCase().includes(wanted)));
    if (column >= 0) {
      shown.sort((one, two) => {
        const a = one[column], b = two[column];
        if (a === null || b === null) return a === b ? 0 : a === null ? 1 : -1; // missing always last
        return (down ? -1 : 1) * (typeof a === "number" ? a - b : order(a, b));
      });
    }
    page = 0;
    draw();
  };
  document.querySelectorAll("#rows th").forEach((head) => {
    const button = document.createElement("button");
    button.type = "button";
    button.textContent = head.textContent;
    head.replaceChildren(button);
    button.addEventListener("click", () => {
      const wanted = Number(head.dataset.column);
      down = column === wanted && !down;
      column = wanted;
      document.querySelectorAll("#rows th").forEach((other) => other.removeAttribute("aria-sort"));
      head.setAttribute("aria-sort", down ? "descending" : "ascending");
      select();
    });
  });
  ["find", "state", "norm"].forEach((id) => $(id).addEventListener("input", select));
  $("filters").addEventListener("submit", (event) => event.preventDefault());
  $("back").addEventListener("click", () => { page -= 1; draw(); });
  $("forth").addEventListener("click", () => { page += 1; draw(); });
  draw();
  document.querySelectorAll(".scroll").forEach((part) => { if (part.scrollWidth > part.clientWidth) part.tabIndex = 0; });

  // The viewer: original below, attacked above; flicker, hold and wipe only change what covers what.
  const viewer = $("viewer"), above = $("above"), below = $("below"), stack = $("stack"), wipe = $("wipe");
  let timer = 0, held = false, flash = false, size = [1, 1];
  const paint = () => {
    const original = held || flash;
    above.style.visibility = original ? "hidden" : "visible";
    above.style.clipPath = `inset(0 0 0 ${wipe.value / 10}%)`;
    $("side").textContent = original ? "original" : Number(wipe.value) > 0 ? "left original, right attacked" : "attacked";
  };
  const scale = () => {
    const k = Number($("zoom").value);
    for (const part of [above, below, stack]) { part.style.width = `${size[0] * k}px`; part.style.height = `${size[1] * k}px`; }
  };
  const stop = () => { clearInterval(timer); timer = 0; flash = false; $("flicker").setAttribute("aria-pressed", "false"); $("side").removeAttribute("aria-live"); paint(); };
  const start = () => {
    clearInterval(timer);
    timer = setInterval(() => { flash = !flash; paint(); }, 1000 / Number($("rate").value));
    $("flicker").setAttribute("aria-pressed", "true");
    $("side").setAttribute("aria-live", "off"); // a screen reader need not say each change
  };
  const hold = (on) => { held = on; paint(); };
  document.querySelectorAll(".compare").forEach((button) => button.addEventListener("click", () => {
    const box = button.closest(".case"), images = box.querySelectorAll("img");
    size = [Number(images[0].dataset.w), Number(images[0].dataset.h)];
    below.src = images[0].src;
    above.src = images[1].src;
    $("viewname").textContent = box.querySelector(".casehead").innerText.replace("\n", ": ");
    const room = Math.min(innerWidth * 0.9, 1040) / size[0], tall = innerHeight * 0.62 / size[1];
    $("zoom").value = String([8, 6, 4, 3, 2].find((k) => k <= Math.min(room, tall)) || 1);
    wipe.value = 0;
    scale();
    stop();
    viewer.showModal();
  }));
  $("flicker").addEventListener("click", () => (timer ? stop() : start()));
  $("rate").addEventListener("input", () => timer && start());
  wipe.addEventListener("input", paint);
  $("zoom").addEventListener("input", scale);
  for (const name of ["pointerdown", "pointerup", "pointerleave"]) $("hold").addEventListener(name, () => hold(name === "pointerdown"));
  stack.addEventListener("pointermove", (event) => {
    if (!event.buttons && event.pointerType !== "mouse") return;
    const box = stack.getBoundingClientRect();
    if (event.buttons) { wipe.value = 1000 * (event.clientX - box.left) / box.width; paint(); }
  });
  stack.addEventListener("dragstart", (event) => event.preventDefault());
  $("close").addEventListener("click", () => viewer.close());
  viewer.addEventListener("close", stop);
  viewer.addEventListener("keydown", (event) => {
    if (event.target.matches("select")) return;
    if (event.key === " ") { event.preventDefault(); if (!event.repeat) hold(true); }
    if (event.key === "f") timer ? stop() : start();
    if (!event.target.matches("input") && (event.key === "ArrowRight" || event.key === "ArrowLeft")) {
      event.preventDefault();
      wipe.value = Number(wipe.value) + (event.key === "ArrowRight" ? 25 : -25);
      paint();
    }
  });
  viewer.addEventListener("keyup", (event) => { if (event.key === " ") { event.preventDefault(); hold(false); } });

  // On paper everything is unfolded.
  addEventListener("beforeprint", () => document.querySelectorAll("details:not([open])").forEach((part) => { part.open = true; part.dataset.opened = ""; }));
  addEventListener("afterprint", () => document.querySelectorAll("details[data-opened]").forEach((part) => { part.open = false; delete part.dataset.opened; }));
})();

/* The display check before the first image of a log-in: what the screen is, a pattern to look at, and warnings. */
(function (app) {
  "use strict";

  const element = (name, kind, text) => app.questions.element(name, kind, text);
  const BAR = 240; // CSS pixels; fits a phone. px_per_cm is in CSS pixels too
  const STEPS = 11;

  /* What may blur or change pixels here, as sentences. */
  function warnings() {
    const found = [];
    const ratio = window.devicePixelRatio || 1;
    const zoom = window.outerWidth && window.innerWidth ? window.outerWidth / window.innerWidth : 1;
    const pinched = window.visualViewport && Math.abs(window.visualViewport.scale - 1) > 0.01;
    if (Math.abs(ratio - Math.round(ratio)) > 0.001) {
      found.push("The browser or the system scales this page by " + Math.round(100 * ratio) + " %. On some systems image pixels "
        + "then look uneven. Please set the browser's zoom to 100 % (Ctrl + 0), or the scaling of the display to a whole number.");
    } else if (pinched || (window.outerWidth > 400 && (zoom > 1.2 || zoom < 0.8))) {
      found.push("The browser's zoom does not seem to be at 100 %. Please set it so (Ctrl + 0; on a phone, pinch the page "
        + "back).");
    }
    return found;
  }

  function pattern() {
    const canvas = element("canvas", "pattern");
    canvas.width = STEPS * 40;
    canvas.height = 80;
    canvas.setAttribute("role", "img");
    canvas.setAttribute("aria-label", "Eleven steps from black to white, with a faint square in the first and the last");
    const context = canvas.getContext("2d");
    const grey = (value) => "rgb(" + value + "," + value + "," + value + ")";
    for (let at = 0; at < STEPS; at += 1) {
      context.fillStyle = grey(Math.round((255 * at) / (STEPS - 1)));
      context.fillRect(40 * at, 0, 40, 80);
    }
    context.fillStyle = grey(13); // 5 % and 95 % of the range
    context.fillRect(12, 32, 16, 16);
    context.fillStyle = grey(242);
    context.fillRect(40 * (STEPS - 1) + 12, 32, 16, 16);
    return canvas;
  }

  function select(id, label, values) {
    const row = element("p", "row");
    const name = element("label", "", label);
    name.htmlFor = id;
    const field = element("select");
    field.id = id;
    values.forEach(function (value) {
      const option = element("option", "", value[1]);
      option.value = value[0];
      field.appendChild(option);
    });
    row.appendChild(name);
    row.appendChild(field);
    return row;
  }

  function input(id, label, more) {
    const row = element("p", "row");
    const name = element("label", "", label);
    name.htmlFor = id;
    const field = element("input");
    field.id = id;
    Object.keys(more).forEach((key) => field.setAttribute(key, more[key]));
    row.appendChild(name);
    row.appendChild(field);
    return row;
  }

  function warningsIn(holder) {
    holder.textContent = "";
    const found = warnings();
    found.forEach((text) => holder.appendChild(element("p", "notice", text)));
    if (!found.length) {
      holder.appendChild(element("p", "notice good", "This screen shows the pixels of images as they are, without blurring."));
    }
  }

  function build() {
    const form = element("div", "check");
    const warned = element("div");
    warningsIn(warned);
    form.appendChild(warned);
    form.appendChild(element("p", "", "You should see eleven steps from black to white, all different, and a faint small "
      + "square inside the first and inside the last."));
    form.appendChild(pattern());
    form.appendChild(select("display-faint", "Which faint squares do you see?", [
      ["", "Please choose"], ["both", "Both"], ["dark", "Only the one in black"], ["bright", "Only the one in white"],
      ["none", "None"],
    ]));
    form.appendChild(input("display-monitor", "Which monitor do you use?", {
      type: "text", maxlength: "200", placeholder: "for example: diagnostic monitor, laptop, make and model",
    }));
    form.appendChild(select("display-calibrated", "Is it calibrated for images?", [
      ["unknown", "I do not know"], ["yes", "Yes"], ["no", "No"],
    ]));
    form.appendChild(input("display-when", "If so, when was that? (optional)", { type: "text", maxlength: "100" }));
    form.appendChild(select("display-light", "How bright is the room?", [
      ["", "Please choose"], ["dark", "Dark, as for reading"], ["dimmed", "Dimmed"], ["office", "Office light"],
      ["daylight", "Daylight"],
    ]));
    const ruler = element("details");
    ruler.appendChild(element("summary", "", "Size on the screen (optional)"));
    ruler.appendChild(element("p", "", "If you have a ruler: how long is this bar?"));
    const bar = element("div", "bar");
    ruler.appendChild(bar);
    ruler.appendChild(input("display-length", "Length in cm", { type: "number", min: "0.5", max: "60", step: "0.1" }));
    form.appendChild(ruler);
    return { form: form, warned: warned };
  }

  const value = (id) => document.getElementById(id).value.trim();

  function told() {
    const length = Number(value("display-length").replace(",", "."));
    const ratio = window.devicePixelRatio || 1;
    const when = value("display-when");
    return {
      monitor: value("display-monitor"),
      calibrated: value("display-calibrated"),
      light: value("display-light"),
      px_per_cm: length > 0 ? Math.round((100 * BAR) / length) / 100 : null,
      screen: [screen.width, screen.height],
      pixel_ratio: ratio,
      browser: navigator.userAgent.slice(0, 200),
      note: ["faint squares seen: " + (value("display-faint") || "not said"), when && "calibrated: " + when,
        "view " + innerWidth + " x " + innerHeight].concat(warnings().map(() => "scaling warned of")).filter(Boolean).join("; "),
    };
  }

  /* Shows the check; resolves with what is to be sent. */
  async function ask() {
    const built = build();
    const look = () => warningsIn(built.warned);
    window.addEventListener("resize", look);
    await app.pages.ask({
      title: "Your display",
      text: ["This is asked once for each log-in. It is recorded, and decides nothing about your taking part."],
      extra: built.form,
      button: "Continue",
    });
    window.removeEventListener("resize", look);
    return told();
  }

  app.display = { ask: ask };
})((window.readerStudy = window.readerStudy || {}));

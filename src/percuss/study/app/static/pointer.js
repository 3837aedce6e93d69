/* Mouse, pen and fingers on a picture: moving, the wheel, two fingers, and the right button for the window. */
(function (app) {
  "use strict";

  const PINCH = 1.35; // fingers so much further apart, or closer: one step

  /* on: {move(dx, dy), zoom(step, x, y), window(dx, dy)}; lengths in CSS pixels, x and y from the element's middle. */
  function listen(element, on) {
    const held = new Map();
    let apart = 0;
    const has = "onpointerdown" in window;

    function fromMiddle(event) {
      const box = element.getBoundingClientRect();
      return { x: event.clientX - box.left - box.width / 2, y: event.clientY - box.top - box.height / 2 };
    }

    function spread() {
      const two = Array.from(held.values());
      return Math.hypot(two[0].x - two[1].x, two[0].y - two[1].y);
    }

    function down(event) {
      held.set(event.pointerId || 0, { x: event.clientX, y: event.clientY, right: event.button === 2 });
      if (has && element.setPointerCapture) {
        element.setPointerCapture(event.pointerId);
      }
      if (held.size === 2) {
        apart = spread();
      }
      element.classList.add("held");
    }

    function move(event) {
      const was = held.get(event.pointerId || 0);
      if (!was) {
        return;
      }
      const dx = event.clientX - was.x;
      const dy = event.clientY - was.y;
      was.x = event.clientX;
      was.y = event.clientY;
      if (held.size === 2) {
        const now = spread();
        const at = fromMiddle(event);
        if (now > apart * PINCH || now < apart / PINCH) {
          on.zoom(now > apart ? 1 : -1, at.x, at.y);
          apart = now;
        }
      } else if (was.right) {
        on.window(dx, dy);
      } else {
        on.move(dx, dy);
      }
    }

    function up(event) {
      held.delete(event.pointerId || 0);
      if (!held.size) {
        element.classList.remove("held");
      }
    }

    const names = has ? ["pointerdown", "pointermove", "pointerup"] : ["mousedown", "mousemove", "mouseup"];
    element.addEventListener(names[0], down);
    (has ? element : window).addEventListener(names[1], move);
    (has ? element : window).addEventListener(names[2], up);
    if (has) {
      element.addEventListener("pointercancel", up);
    }
    element.addEventListener("contextmenu", (event) => event.preventDefault());
    element.addEventListener("wheel", function (event) {
      event.preventDefault();
      if (event.deltaY) {
        const at = fromMiddle(event);
        on.zoom(event.deltaY < 0 ? 1 : -1, at.x, at.y);
      }
    }, { passive: false });
  }

  app.pointer = { listen: listen };
})((window.readerStudy = window.readerStudy || {}));
